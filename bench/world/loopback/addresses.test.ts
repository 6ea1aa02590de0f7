import { createSocket } from "node:dgram"
import type { Topology } from "@horizon/core/lab/topology.ts"
import { formatV4, parseV4 } from "@horizon/core/wire/address.ts"
import { expect, test } from "vitest"
import { LoopbackAddresses, reserveBlock } from "./addresses.ts"

const v4 = (text: string): number => parseV4(text)!

const TWINS: Topology = {
  subnets: {
    one: { cidr: "192.168.1.0/24" },
    two: { cidr: "192.168.1.0/24" },
    internet: { cidr: "198.51.100.0/30" }
  },
  hosts: {
    a: { subnet: "one", address: "192.168.1.7" },
    b: { subnet: "two", address: "192.168.1.7" },
    ...Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`host-${i}`, { subnet: "internet" }]))
  },
  routers: { r: { subnets: ["one", "internet"] } }
}

test("every subnet gets a prefix of its own that is large enough, and links stay as they are", () => {
  const { topology } = new LoopbackAddresses(TWINS, 9)
  expect(topology.subnets).toEqual({
    one: { cidr: "10.0.0.0/24" },
    two: { cidr: "10.0.1.0/24" },
    internet: { cidr: "10.0.2.0/23" }
  })
  expect(topology.hosts["a"]).toEqual({ subnet: "one" })
  expect(topology.routers).toBe(TWINS.routers)
})

test("planned and real addresses of a lab are one to one, and what is not the lab's is nowhere or itself", () => {
  const addresses = new LoopbackAddresses(TWINS, 9)
  expect(formatV4(addresses.real(v4("10.0.3.4")))).toBe("127.9.3.4")
  expect(formatV4(addresses.planned(v4("127.9.3.4")))).toBe("10.0.3.4")
  expect(addresses.planned(v4("127.10.3.4"))).toBe(0)
  for (const same of ["127.0.0.1", "255.255.255.255", "192.0.2.1"]) {
    expect(formatV4(addresses.planned(v4(same)))).toBe(same)
    expect(formatV4(addresses.real(v4(same)))).toBe(same)
  }
})

test("two labs never share a block, and a block that was given back can be taken again", async () => {
  const [one, two] = [await reserveBlock(), await reserveBlock()]
  expect(one.number).not.toBe(two.number)
  const mark = createSocket("udp4")
  const taken = new Promise<string | undefined>((resolve) => {
    mark.once("error", (error: NodeJS.ErrnoException) => resolve(error.code))
    mark.bind({ address: `127.${one.number}.255.254`, port: 8_400, exclusive: true }, () => resolve(undefined))
  })
  expect(await taken).toBe("EADDRINUSE")
  await one.close()
  const three = await reserveBlock()
  expect([one.number, two.number + 1]).toContain(three.number)
  await Promise.all([two.close(), three.close()])
})
