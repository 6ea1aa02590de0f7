import { execFile } from "node:child_process"
import { promisify } from "node:util"
import type { NatKind, RouterSpec, SubnetSpec, Topology } from "@horizon/core/lab/topology.ts"
import { Rng } from "@horizon/sim/kernel/rng.ts"
import { Nat } from "@horizon/sim/net/nat.ts"
import { PROTOCOL } from "@horizon/sim/net/packet.ts"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { makePlainDriver } from "./driver-plain.ts"
import { named, namespacesMissing } from "./here.fixture.ts"
import type { LabNetwork } from "./lab-network.ts"
import { NAT_KINDS, type NatUnderTest, natContract, type Spot } from "./nat.contract.ts"
import { natRebind, nextZone } from "./nat.ts"
import { buildNetns } from "./netns.ts"
import { UdpAgent } from "./udp-agent.fixture.ts"

// --- rebinding, as a script

/** As nft lists a table: long sets over several lines, no elements in empty ones. */
const LISTING = `table ip horizon {
\tmap udp_outward {
\t\ttype ipv4_addr . inet_service : ipv4_addr . inet_service
\t\tsize 65536
\t\tflags dynamic,timeout
\t\telements = { 192.168.1.2 . 40000 timeout 30s expires 29s880ms : 198.51.100.1 . 40000,
\t\t\t     192.168.1.3 . 53 timeout 30s expires 1s : 198.51.100.1 . 701 }
\t}

\tset udp_peers {
\t\ttype inet_service . ipv4_addr
\t\tsize 65536
\t\tflags dynamic,timeout
\t\telements = { 40000 . 198.51.100.9 timeout 30s expires 29s880ms, 55 . 198.51.100.9 timeout 30s expires 2s }
\t}

\tmap tcp_outward {
\t\ttype ipv4_addr . inet_service : ipv4_addr . inet_service
\t\tflags dynamic,timeout
\t}
}
`

test("a rebinding moves ports within range and parity, keeps lives and doors, and shuts doors of the dead", () => {
  const lines = natRebind("address-restricted", LISTING, 7, () => 0).split("\n")
  expect(lines.filter((line) => line.startsWith("add element"))).toEqual([
    "add element ip horizon udp_outward { 192.168.1.2 . 40000 timeout 30s expires 29s880ms : 198.51.100.1 . 1024 }",
    "add element ip horizon udp_inward { 1024 timeout 30s expires 29s880ms : 192.168.1.2 . 40000 }",
    "add element ip horizon udp_taken { 1024 timeout 30s expires 29s880ms }",
    "add element ip horizon udp_outward { 192.168.1.3 . 53 timeout 30s expires 1s : 198.51.100.1 . 1 }",
    "add element ip horizon udp_inward { 1 timeout 30s expires 1s : 192.168.1.3 . 53 }",
    "add element ip horizon udp_taken { 1 timeout 30s expires 1s }",
    "add element ip horizon udp_peers { 1024 . 198.51.100.9 timeout 30s expires 29s880ms }"
  ])
  expect(lines).toContain("flush set ip horizon tcp_peers")
  expect(lines).toContain("add rule ip horizon zone ct zone set 7")
})

test("a port that is taken is not drawn, the inside port neither", () => {
  const taken = LISTING.replace("198.51.100.1 . 701", "198.51.100.1 . 1")
  // From pair 26 on: 53 is the inside port, and the next odd one is 55.
  const drawn = natRebind("full-cone", taken, 1, (below) => (below === 512 ? 26 : 19_488))
  expect(drawn).toContain("192.168.1.3 . 53 timeout 30s expires 1s : 198.51.100.1 . 55 }")
  expect(drawn).toContain("192.168.1.2 . 40000 timeout 30s expires 29s880ms : 198.51.100.1 . 40002 }")
})

test("zones go round without the one that is everybody's", () => {
  expect([nextZone(1), nextZone(65_534), nextZone(65_535)]).toEqual([2, 65_535, 1])
})

// --- the simulated NAT

const OUT = 0xc6336401
const inside = [0xc0a80002, 0xc0a80003]
const outside = [0xc6336402, 0xc6336403]

const simulated = async (kind: NatKind): Promise<NatUnderTest> => {
  const udpTimeoutMs = 30_000
  const nat = new Nat({ kind, udpTimeoutNs: udpTimeoutMs * 1e6, rng: new Rng(1, "nat") })
  let nowNs = 0
  const leave = (from: Spot, remote: number, port: number): number =>
    nat.outbound(nowNs, PROTOCOL.udp, inside[from.host], from.port, remote, port)!.outsidePort
  const enter = (port: number, remote: number, remotePort: number): Spot | undefined => {
    const mapping = nat.inbound(nowNs, PROTOCOL.udp, port, remote, remotePort)
    if (mapping === undefined) return undefined
    return { host: inside.indexOf(mapping.insideAddress) as 0 | 1, port: mapping.insidePort }
  }
  return {
    udpTimeoutMs,
    send: async (from, to) => leave(from, outside[to.host], to.port),
    reach: async (port, from) => enter(port, outside[from.host], from.port),
    turn: async (from, port) => {
      const own = leave(from, OUT, port)
      const at = enter(port, OUT, own)
      return at === undefined ? undefined : { at, from: own }
    },
    pass: async (ms) => {
      nowNs += ms * 1e6
    },
    wipe: async () => nat.wipe(),
    rebind: async () => nat.rebind(nowNs)
  }
}

natContract("simulated", simulated)

// --- the kernel's NAT

const UDP_TIMEOUT_MS = 1_500
const CARELESS = "careless"

/** A home of two behind each kind of NAT, one more whose NAT does no hairpin, and two hosts outside. */
const topology = (): Topology => {
  const subnets: Record<string, SubnetSpec> = { internet: { cidr: "198.51.100.0/24" } }
  const hosts: Record<string, { subnet: string }> = { out0: { subnet: "internet" }, out1: { subnet: "internet" } }
  const routers: Record<string, RouterSpec> = {}
  for (const [index, name] of [...NAT_KINDS, CARELESS].entries()) {
    subnets[name] = { cidr: `192.168.${index}.0/24` }
    for (const member of [0, 1]) hosts[`${name}-${member}`] = { subnet: name }
    const kind = name === CARELESS ? "full-cone" : (name as NatKind)
    const nat = { kind, outside: "internet", udpTimeoutMs: UDP_TIMEOUT_MS, hairpin: name !== CARELESS }
    routers[`nat-${name}`] = { subnets: [name, "internet"], nat }
  }
  return { subnets, hosts, routers }
}

describe.skipIf(namespacesMissing !== "")(named("the kernel's NAT", namespacesMissing), () => {
  let lab: LabNetwork
  const agents = new Map<string, UdpAgent>()
  let texts = 0
  const unique = (): string => `packet ${texts++}`

  beforeAll(async () => {
    lab = await buildNetns(topology(), { id: `hz-nat-${process.pid}`, driver: makePlainDriver, purpose: "test" })
    for (const host of Object.keys(topology().hosts)) agents.set(host, new UdpAgent(lab.enter(host)))
    await Promise.all([...agents.values()].map((agent) => agent.ready()))
  })
  afterAll(async () => {
    for (const agent of agents.values()) agent.close()
    await lab?.close()
  })

  const outsideOf = (home: string): string => {
    const index = [...NAT_KINDS, CARELESS].indexOf(home)
    return `198.51.100.${index + 1}`
  }

  const kernel = async (home: string): Promise<NatUnderTest> => {
    const router = `nat-${home}`
    await lab.natWipe(router)
    const member = ({ host }: Spot): UdpAgent => agents.get(`${home}-${host}`)!
    const remote = ({ host }: Spot): UdpAgent => agents.get(`out${host}`)!
    /** Who inside gets a packet: all inside sockets of this test listen already. */
    const heard = async (text: string) => {
      const [first, second] = await Promise.all([0, 1].map((host) => agents.get(`${home}-${host}`)!.glimpse(text)))
      expect(first === undefined || second === undefined, "not both got it").toBe(true)
      const packet = first ?? second
      if (packet === undefined) return undefined
      return { packet, at: { host: (first === undefined ? 1 : 0) as 0 | 1, port: packet.port } }
    }
    return {
      udpTimeoutMs: UDP_TIMEOUT_MS,
      send: async (from, to) => {
        const text = unique()
        await remote(to).open(to.port)
        await member(from).send(from.port, lab.addressOf(`out${to.host}`), to.port, text)
        const { from: address, fromPort } = await remote(to).arrival(text)
        expect(address).toBe(outsideOf(home))
        return fromPort
      },
      reach: async (port, from) => {
        const text = unique()
        await remote(from).send(from.port, outsideOf(home), port, text)
        const found = await heard(text)
        if (found !== undefined) {
          expect(found.packet.from, "the sender's address stays").toBe(lab.addressOf(`out${from.host}`))
          expect(found.packet.fromPort).toBe(from.port)
        }
        return found?.at
      },
      turn: async (from, port) => {
        const text = unique()
        await member(from).send(from.port, outsideOf(home), port, text)
        const found = await heard(text)
        if (found === undefined) return undefined
        expect(found.packet.from, "the source is the outside address (REQ-9a)").toBe(outsideOf(home))
        return { at: found.at, from: found.packet.fromPort }
      },
      pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      wipe: () => lab.natWipe(router),
      rebind: () => lab.natRebind(router)
    }
  }

  natContract("kernel", kernel)

  test.each(NAT_KINDS)("%s: an ICMP error about what left finds its way in (RFC 5508 REQ-4)", async (kind) => {
    const program = `
      const socket = require("node:dgram").createSocket("udp4")
      socket.on("error", ({ code }) => { console.log(code); process.exit() })
      socket.connect(9, ${JSON.stringify(lab.addressOf("out0"))}, () => socket.send("is anybody there?"))
      setTimeout(() => process.exit(), 5_000)`
    const [command, ...rest] = lab.enter(`${kind}-0`)
    const { stdout } = await promisify(execFile)(command, [...rest, process.execPath, "-e", program])
    expect(stdout.trim()).toBe("ECONNREFUSED")
  })

  test("without hairpin no inside host reaches another by its outside port, and everything else works", async () => {
    const nat = await kernel(CARELESS)
    const ports = [
      await nat.send({ host: 0, port: 19_000 }, { host: 0, port: 19_002 }),
      await nat.send({ host: 1, port: 19_004 }, { host: 0, port: 19_002 })
    ]
    expect(await nat.turn({ host: 0, port: 19_000 }, ports[1])).toBeUndefined()
    expect(await nat.reach(ports[1], { host: 1, port: 19_006 })).toEqual({ host: 1, port: 19_004 })
  })
})
