import { assert } from "@horizon/core/assert.ts"
import type { Topology } from "@horizon/core/lab/topology.ts"
import { tcPlan } from "@horizon/core/link/tc.ts"
import { expect, test } from "vitest"
import { exportScenario, exportTopology, scenarioNames } from "./export.ts"

const topology: Topology = {
  subnets: { wan: { cidr: "198.51.100.0/24" }, home: { cidr: "192.168.1.0/24" } },
  hosts: {
    server: { subnet: "wan", down: { delayUs: 5_000 } },
    alice: {
      subnet: "home",
      up: { delayUs: 10_000, rateBps: 20_000_000, overheadBytes: 38 },
      down: { dropList: [3] }
    }
  },
  routers: {
    nat: {
      subnets: ["home", "wan"],
      nat: { kind: "symmetric", outside: "wan", udpTimeoutMs: 30_000, hairpin: false }
    }
  }
}

test("a link is exported as arguments of tc, with what the kernel must show of them afterwards", () => {
  const [server, alice] = exportTopology("test", topology).nodes
  expect(server.interfaces[0].down.qdiscs).toEqual([
    {
      words: "qdisc add dev p0 root handle 1: netem limit 1000000 delay 5000us".split(" "),
      kind: "netem",
      place: "root 1:",
      holds: { limit: 1_000_000, "delay us": 5_000 }
    }
  ])
  expect(server.interfaces[0].up).toMatchObject({ qdiscs: [], notes: [], refusals: [] })
  const { notes, qdiscs, spec } = alice.interfaces[0].up
  const plan = tcPlan(spec, "eth0")
  assert(plan.ok, "tc can do it")
  expect(qdiscs.map(({ words }) => words)).toEqual(plan.qdiscs)
  expect(notes).toEqual(plan.notes)
  expect(qdiscs.map(({ place }) => place)).toEqual(["root 1:", "1:1 2:"])
  const held = Object.assign({}, ...qdiscs.map(({ holds }) => holds)) as Record<string, number>
  expect(held).toMatchObject({ "rate B/s": 2_500_000, "packet overhead B": 24, "delay us": 10_000 })
})

test("what tc cannot do is exported as a refusal, not left out", () => {
  const alice = exportTopology("test", topology).nodes.find(({ name }) => name === "alice")!
  expect(alice.interfaces[0].down).toMatchObject({ qdiscs: [], refusals: ["tc cannot drop packets by their number"] })
  expect(alice.interfaces[0].down.spec.dropList).toEqual([3])
})

test("switches, addresses, routes and NATs are those of the world of network namespaces", () => {
  const { nodes, switches } = exportTopology("test", topology)
  expect(switches.map(({ cidr, name, subnet }) => [name, subnet, cidr])).toEqual([
    ["br0", "wan", "198.51.100.0/24"],
    ["br1", "home", "192.168.1.0/24"]
  ])
  const ports = nodes.flatMap(({ interfaces }) => interfaces.map((own) => `${own.switch} ${own.port}`))
  expect(switches.flatMap(({ name, ports: own }) => own.map(({ device }) => `${name} ${device}`)).sort()).toEqual(
    ports.sort()
  )
  for (const { bridge, name, ports: own } of switches)
    expect(bridge.filter((line) => line.includes(` master ${name}`))).toHaveLength(own.length)
  const [server, alice, nat] = nodes
  expect([server.name, alice.name, nat.name]).toEqual(["server", "alice", "nat"])
  expect(alice.addresses).toContain(`addr add ${alice.interfaces[0].address}/24 dev eth0`)
  expect(alice.addresses.at(-1)).toBe(`route replace default via ${nat.interfaces[0].address}`)
  expect(nat.forwards).toBe(true)
  expect(nat.nat?.rules).toContain(`oifname "eth1" goto translate`)
  expect([server.nat, alice.nat]).toEqual([null, null])
})

test("every scenario can be exported, the same each time, and survives JSON", () => {
  expect(scenarioNames().length).toBeGreaterThan(5)
  for (const name of scenarioNames()) {
    const exported = exportScenario(name)
    expect(exported?.name).toBe(name)
    expect(JSON.parse(JSON.stringify(exportScenario(name)))).toEqual(exported)
  }
  expect(exportScenario("no-such-scenario")).toBeUndefined()
})
