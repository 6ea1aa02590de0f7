import type { Topology } from "@horizon/core/lab/topology.ts"
import { expect, test } from "vitest"
import { linksOf, type NodePlan, namespacesOf, planNetns } from "./netns-plan.ts"
import { nodeBatch, nodeSettings, switchBatch, switchTable } from "./netns-script.ts"

/** An internet, a provider with a carrier-grade NAT, two homes behind it with one prefix, and an office behind a plain router. */
const topology: Topology = {
  subnets: {
    internet: { cidr: "198.51.100.0/24" },
    provider: { cidr: "100.64.0.0/16" },
    home: { cidr: "192.168.1.0/24" },
    twin: { cidr: "192.168.1.0/24" },
    office: { cidr: "203.0.113.0/25" }
  },
  hosts: {
    broker: { subnet: "internet", up: { delayUs: 2_000 } },
    alice: { subnet: "home" },
    bob: { subnet: "twin" },
    carol: { subnet: "office", address: "203.0.113.9" }
  },
  routers: {
    carrier: {
      subnets: ["provider", "internet"],
      nat: { kind: "symmetric", outside: "internet", udpTimeoutMs: 30_000, hairpin: true }
    },
    door: {
      subnets: ["home", "provider"],
      nat: { kind: "full-cone", outside: "provider", udpTimeoutMs: 30_000, hairpin: true },
      links: { provider: { down: { lossPpm: 5 } } }
    },
    gate: {
      subnets: ["twin", "provider"],
      nat: { kind: "full-cone", outside: "provider", udpTimeoutMs: 30_000, hairpin: true }
    },
    hall: { subnets: ["office", "internet"] }
  }
}

const plan = planNetns(topology, "hz-plan")
const node = (name: string): NodePlan => plan.nodes.find((one) => one.name === name)!
const routes = (name: string): ReadonlyArray<string> => node(name).routes.map(({ to, via }) => `${to} via ${via}`)

test("addresses are those of the address plan, names are short enough and one of a kind", () => {
  const all = plan.nodes.flatMap(({ interfaces }) => interfaces)
  expect(all.map(({ name, address, prefixLength }) => `${name} ${address}/${prefixLength}`)).toEqual([
    "broker 198.51.100.3/24",
    "alice 192.168.1.2/24",
    "bob 192.168.1.2/24",
    "carol 203.0.113.9/25",
    "carrier/provider 100.64.0.1/16",
    "carrier/internet 198.51.100.1/24",
    "door/home 192.168.1.1/24",
    "door/provider 100.64.0.2/16",
    "gate/twin 192.168.1.1/24",
    "gate/provider 100.64.0.3/16",
    "hall/office 203.0.113.1/25",
    "hall/internet 198.51.100.2/24"
  ])
  expect(new Set(all.map(({ port }) => port)).size).toBe(all.length)
  expect(new Set(all.map(({ mac }) => mac)).size).toBe(all.length)
  expect(all.every(({ device, port }) => device.length <= 15 && port.length < 15)).toBe(true)
  expect(namespacesOf(plan)).toHaveLength(1 + 8)
  expect(new Set(namespacesOf(plan)).size).toBe(9)
})

test("ways lead along the simulator's shortest paths, and into a NAT only to be refused", () => {
  // What is behind the carrier cannot be reached: the packet goes there and is thrown away, as in the simulator.
  expect(routes("broker")).toEqual([
    "100.64.0.0/16 via 198.51.100.1",
    "203.0.113.0/25 via 198.51.100.2",
    "default via 198.51.100.2"
  ])
  expect(routes("alice")).toEqual([
    "198.51.100.0/24 via 192.168.1.1",
    "100.64.0.0/16 via 192.168.1.1",
    "203.0.113.0/25 via 192.168.1.1",
    "default via 192.168.1.1"
  ])
  expect(routes("door")).toEqual([
    "198.51.100.0/24 via 100.64.0.1",
    "203.0.113.0/25 via 100.64.0.1",
    "default via 100.64.0.1"
  ])
  expect(routes("carrier")).toEqual(["203.0.113.0/25 via 198.51.100.2", "default via 198.51.100.2"])
  expect(routes("carol")).toEqual(["198.51.100.0/24 via 203.0.113.1", "default via 203.0.113.1"])
})

test("a host on a subnet without a way out has no route", () => {
  const alone: Topology = { subnets: { lan: { cidr: "10.0.0.0/24" } }, hosts: { a: { subnet: "lan" } }, routers: {} }
  expect(planNetns(alone, "hz-alone").nodes[0].routes).toEqual([])
})

test("a way leads to the longer of two prefixes, and to the shorter for the rest of it", () => {
  const nested: Topology = {
    subnets: { lan: { cidr: "10.9.0.0/24" }, wide: { cidr: "172.16.0.0/12" }, part: { cidr: "172.16.0.0/16" } },
    hosts: { a: { subnet: "lan" } },
    routers: { r1: { subnets: ["lan", "wide"] }, r2: { subnets: ["lan", "part"] } }
  }
  expect(planNetns(nested, "hz-nested").nodes[0].routes.slice(0, 2)).toEqual([
    { to: "172.16.0.0/12", via: "10.9.0.1" },
    { to: "172.16.0.0/16", via: "10.9.0.2" }
  ])
})

test("links carry the specs of their hosts and router interfaces, complete", () => {
  const specs = new Map(plan.nodes.flatMap(({ interfaces }) => interfaces.map((own) => [own.name, own] as const)))
  expect(specs.get("broker")).toMatchObject({ up: { delayUs: 2_000, lossPpm: 0 }, down: { delayUs: 0 } })
  expect(specs.get("door/provider")).toMatchObject({ up: { lossPpm: 0 }, down: { lossPpm: 5 } })
  expect(linksOf(plan)[7]).toEqual({
    name: "door/provider",
    host: { namespace: "hz-plan.door", device: "eth1" },
    subnet: { namespace: "hz-plan", device: "p7" }
  })
})

test("neighbours are known for ever: no ARP, and only those of the same switch", () => {
  const lines = nodeBatch(plan, node("door"))
  expect(lines.filter((line) => line.startsWith("neigh"))).toEqual([
    "neigh replace 192.168.1.2 dev eth0 lladdr 02:68:7a:00:00:01 nud permanent",
    "neigh replace 100.64.0.1 dev eth1 lladdr 02:68:7a:00:00:04 nud permanent",
    "neigh replace 100.64.0.3 dev eth1 lladdr 02:68:7a:00:00:09 nud permanent"
  ])
})

test("only routers forward, and say so before what depends on it", () => {
  expect(nodeSettings(node("hall"))[0]).toBe("net.ipv4.ip_forward=1")
  expect(nodeSettings(node("carol"))[0]).toBe("net.ipv4.ip_forward=0")
})

test("each port is in its subnet's bridge, which knows where every address is; broadcasts go to hosts only", () => {
  const lines = switchBatch(plan)
  expect(lines).toContain("link set dev p3 master br4")
  expect(lines).toContain("link set dev p3 type bridge_slave learning off flood off mcast_flood off bcast_flood on")
  expect(lines).toContain("link set dev p10 type bridge_slave learning off flood off mcast_flood off bcast_flood off")
  expect(switchTable(plan)).toContain("fdb replace 02:68:7a:00:00:03 dev p3 master static")
})

test.each(["lab", "hz", "hz UPPER", "hz/../x", `hz${"a".repeat(41)}`])("the lab name %j is refused", (lab) => {
  expect(() => planNetns(topology, lab)).toThrow(/lab name/)
})

test("a host whose name cannot be a file's is refused", () => {
  const hosts = { "../etc": { subnet: "internet" } }
  expect(() => planNetns({ ...topology, hosts, routers: {} }, "hz-x")).toThrow(/host "..\/etc"/)
})
