import { expect, test } from "vitest"
import { formatV4 } from "../wire/address.ts"
import { contains, planAddresses } from "./address-plan.ts"
import type { Topology } from "./topology.ts"

const plan = (topology: Topology) =>
  Object.fromEntries(planAddresses(topology).interfaces.map(({ name, address }) => [name, formatV4(address)]))

test("named addresses come first, then routers from the lowest, then the other hosts", () => {
  expect(
    plan({
      subnets: { lan: { cidr: "10.0.0.0/24" }, wan: { cidr: "203.0.113.64/29" } },
      hosts: {
        c: { subnet: "lan" },
        fixed: { subnet: "lan", address: "10.0.0.3" },
        d: { subnet: "lan" },
        server: { subnet: "wan" }
      },
      routers: { r1: { subnets: ["lan", "wan"] }, r2: { subnets: ["wan", "lan"] } }
    })
  ).toEqual({
    c: "10.0.0.4",
    fixed: "10.0.0.3",
    d: "10.0.0.5",
    server: "203.0.113.67",
    "r1/lan": "10.0.0.1",
    "r1/wan": "203.0.113.65",
    "r2/wan": "203.0.113.66",
    "r2/lan": "10.0.0.2"
  })
})

test("a prefix is cut to its length, whatever address it is written with", () => {
  const { subnets } = planAddresses({ subnets: { s: { cidr: "192.168.77.99/20" } }, hosts: {}, routers: {} })
  const subnet = subnets.get("s")!
  expect([formatV4(subnet.base), formatV4(subnet.broadcast), subnet.prefixLength]).toEqual([
    "192.168.64.0",
    "192.168.79.255",
    20
  ])
  expect(contains(subnet, subnet.broadcast)).toBe(true)
  expect(contains(subnet, subnet.broadcast + 1)).toBe(false)
  expect(contains(subnet, subnet.base - 1)).toBe(false)
})

test("a topology that cannot be built is refused in a sentence that names the culprit", () => {
  const host = (address: string) => ({ subnet: "s", address })
  const build = (cidr: string, hosts: Topology["hosts"]) => () => plan({ subnets: { s: { cidr } }, hosts, routers: {} })
  expect(build("10.0.0.0/33", {})).toThrow(/subnet s has a prefix .* not 10.0.0.0\/33/)
  expect(build("10.0.0/24", {})).toThrow(/subnet s has a prefix/)
  expect(build("10.0.0.0/24", { a: { subnet: "t" } })).toThrow(/a lies on the subnet t/)
  expect(build("10.0.0.0/24", { a: host("10.0.1.1") })).toThrow(/a has an IPv4 address inside s/)
  expect(build("10.0.0.0/24", { a: host("10.0.0.9"), b: host("10.0.0.9") })).toThrow(/b is the only owner of 10.0.0.9/)
  expect(build("10.0.0.0/24", { a: host("10.0.0.255") })).toThrow(/a has an IPv4 address inside s/)
  expect(build("10.0.0.0/24", { s: { subnet: "s" } })).toThrow(/the name s stands for one/)
  const twice = { subnets: { s: { cidr: "10.0.0.0/24" } }, hosts: {}, routers: { r: { subnets: ["s", "s"] } } }
  expect(() => plan(twice)).toThrow(/the name s .* listed once/)
  const three = { a: { subnet: "s" }, b: { subnet: "s" }, c: { subnet: "s" } }
  expect(build("10.0.0.0/30", three)).toThrow(/subnet s has an address left/)
})
