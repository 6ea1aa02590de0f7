import type { NatKind } from "@horizon/core/lab/topology.ts"
import { expect, test } from "vitest"
import { Rng } from "../kernel/rng.ts"
import { Nat, STREAM_TIMEOUT_NS } from "./nat.ts"
import { PROTOCOL } from "./packet.ts"

const { udp, stream } = PROTOCOL
const KINDS: ReadonlyArray<NatKind> = ["full-cone", "address-restricted", "port-restricted", "symmetric"]
const TIMEOUT_NS = 30e9
const INSIDE = 0xc0a80005
const REMOTE = 0xcb007101
const OTHER = 0xcb007102

const make = (kind: NatKind, seed = 1) => new Nat({ kind, udpTimeoutNs: TIMEOUT_NS, rng: new Rng(seed, "nat") })

const out = (nat: Nat, nowNs: number, remote = REMOTE, remotePort = 53, insidePort = 40_000, inside = INSIDE) =>
  nat.outbound(nowNs, udp, inside, insidePort, remote, remotePort)!.outsidePort

/** Whether a packet from a remote endpoint gets in at an outside port. */
const enters = (nat: Nat, nowNs: number, port: number, remote: number, remotePort: number) => {
  const mapping = nat.inbound(nowNs, udp, port, remote, remotePort)
  return mapping === undefined ? nat.refusal : mapping.insidePort
}

/**
 * RFC 4787: what each kind does. Mapping: is the outside port the same towards another port, another address (§4.1)?
 * Filtering: after a packet to REMOTE:53, who gets in (§5)?
 */
const BEHAVIOUR: Record<NatKind, { sameMapping: boolean; samePort: boolean; sameAddress: boolean; anybody: boolean }> =
  {
    "full-cone": { sameMapping: true, samePort: true, sameAddress: true, anybody: true },
    "address-restricted": { sameMapping: true, samePort: true, sameAddress: true, anybody: false },
    "port-restricted": { sameMapping: true, samePort: true, sameAddress: false, anybody: false },
    symmetric: { sameMapping: false, samePort: true, sameAddress: false, anybody: false }
  }

test.each(KINDS)("%s: mapping depends on the remote endpoint only if symmetric (RFC 4787 §4.1)", (kind) => {
  const nat = make(kind)
  const first = out(nat, 0)
  expect(out(nat, 1)).toBe(first)
  expect(out(nat, 2, REMOTE, 54) === first).toBe(BEHAVIOUR[kind].sameMapping)
  expect(out(nat, 3, OTHER, 53) === first).toBe(BEHAVIOUR[kind].sameMapping)
  expect(out(nat, 4)).toBe(first)
  expect(nat.size).toBe(BEHAVIOUR[kind].sameMapping ? 1 : 3)
})

test.each(KINDS)("%s: filtering lets in who the kind says (RFC 4787 §5)", (kind) => {
  const { samePort, sameAddress, anybody } = BEHAVIOUR[kind]
  const nat = make(kind)
  const port = out(nat, 0)
  const got = (allowed: boolean) => (allowed ? 40_000 : "nat-filtered")
  expect(enters(nat, 1, port, REMOTE, 53)).toBe(got(samePort))
  expect(enters(nat, 1, port, REMOTE, 54)).toBe(got(sameAddress))
  expect(enters(nat, 1, port, OTHER, 53)).toBe(got(anybody))
  expect(enters(nat, 1, port + 2, REMOTE, 53)).toBe("nat-no-mapping")
  // Sending there opens the door, but for a symmetric NAT, which opens another one.
  const second = out(nat, 2, OTHER, 99)
  expect(enters(nat, 3, second, OTHER, 99)).toBe(40_000)
  expect(enters(nat, 3, port, OTHER, 99)).toBe(got(kind !== "symmetric"))
})

test.each(KINDS)(
  "%s: a mapping dies when nothing has left for the time-out; inbound packets do not keep it",
  (kind) => {
    const nat = make(kind)
    const port = out(nat, 0)
    for (let nowNs = 1e9; nowNs < TIMEOUT_NS; nowNs += 1e9) expect(enters(nat, nowNs, port, REMOTE, 53)).toBe(40_000)
    expect(enters(nat, TIMEOUT_NS - 1, port, REMOTE, 53)).toBe(40_000)
    expect(enters(nat, TIMEOUT_NS, port, REMOTE, 53)).toBe("nat-no-mapping")
    expect(nat.size).toBe(0)
  }
)

test.each(KINDS)("%s: outbound packets keep a mapping alive (RFC 4787 REQ-6)", (kind) => {
  const nat = make(kind)
  const port = out(nat, 0)
  for (let nowNs = 0; nowNs <= 10 * TIMEOUT_NS; nowNs += TIMEOUT_NS - 1) expect(out(nat, nowNs)).toBe(port)
  expect(enters(nat, 10 * TIMEOUT_NS, port, REMOTE, 53)).toBe(40_000)
})

test.each(["address-restricted", "port-restricted"] as const)(
  "%s: the door for one remote closes though the mapping lives on for another",
  (kind) => {
    const nat = make(kind)
    const port = out(nat, 0, REMOTE)
    out(nat, TIMEOUT_NS / 2, OTHER)
    expect(enters(nat, TIMEOUT_NS, port, REMOTE, 53)).toBe("nat-filtered")
    expect(enters(nat, TIMEOUT_NS, port, OTHER, 53)).toBe(40_000)
  }
)

test("streams live two hours, and do not share ports with UDP", () => {
  const nat = make("port-restricted")
  const mapping = nat.outbound(0, stream, INSIDE, 40_000, REMOTE, 443)!
  expect(mapping.outsidePort).toBe(40_000)
  expect(out(nat, 0)).toBe(40_000)
  expect(nat.inbound(STREAM_TIMEOUT_NS - 1, stream, 40_000, REMOTE, 443)).toBe(mapping)
  expect(nat.inbound(STREAM_TIMEOUT_NS, stream, 40_000, REMOTE, 443)).toBeUndefined()
})

test("the inside port is kept if it is free, else another of the same range and parity is drawn (REQ-3, REQ-4)", () => {
  const nat = make("full-cone")
  expect(out(nat, 0, REMOTE, 53, 40_000, INSIDE)).toBe(40_000)
  const ports = Array.from({ length: 200 }, (_, i) => out(nat, 0, REMOTE, 53, 40_000, INSIDE + 1 + i))
  expect(new Set(ports).size).toBe(200)
  expect(ports.every((port) => port !== 40_000 && port % 2 === 0 && port >= 1024)).toBe(true)
  expect(out(nat, 0, REMOTE, 53, 123, INSIDE)).toBe(123)
  const low = out(nat, 0, REMOTE, 53, 123, INSIDE + 1)
  expect([low < 1024, low % 2, low === 123]).toEqual([true, 1, false])
})

test("the port of a dead mapping is free again", () => {
  const nat = make("full-cone")
  out(nat, 0, REMOTE, 53, 40_000, INSIDE)
  expect(out(nat, TIMEOUT_NS, REMOTE, 53, 40_000, INSIDE + 1)).toBe(40_000)
})

test("when every port of the range is taken no flow gets out, and none is shared", () => {
  const nat = make("full-cone")
  const ports = Array.from({ length: 511 }, (_, i) => out(nat, 0, REMOTE, 53, 500, INSIDE + i))
  expect(new Set(ports).size).toBe(511)
  expect(nat.outbound(0, udp, INSIDE + 600, 500, REMOTE, 53)).toBeUndefined()
  nat.rebind(1)
  expect(nat.size).toBe(511)
})

test("port choices come from the seed", () => {
  const draw = (seed: number) => {
    const nat = make("symmetric", seed)
    return Array.from({ length: 20 }, (_, i) => out(nat, 0, REMOTE, 53 + i))
  }
  expect(draw(1)).toEqual(draw(1))
  expect(draw(1)).not.toEqual(draw(2))
})

test.each(KINDS)("%s: rebinding moves every live flow to a new port, through which the same peers get in", (kind) => {
  const nat = make(kind)
  const before = [out(nat, 0, REMOTE, 53, 40_000), out(nat, 0, REMOTE, 53, 40_001)]
  out(nat, -TIMEOUT_NS, REMOTE, 53, 40_002)
  nat.rebind(0)
  expect(nat.size).toBe(2)
  for (const [i, old] of before.entries()) {
    expect(enters(nat, 1, old, REMOTE, 53)).toBe("nat-no-mapping")
    const port = out(nat, 2, REMOTE, 53, 40_000 + i)
    expect(port).not.toBe(old)
    expect(enters(nat, 3, port, REMOTE, 53)).toBe(40_000 + i)
  }
})

test.each(KINDS)("%s: a wipe forgets every flow; the next packet makes a new one", (kind) => {
  const nat = make(kind)
  const port = out(nat, 0)
  nat.wipe()
  expect(nat.size).toBe(0)
  expect(enters(nat, 1, port, REMOTE, 53)).toBe("nat-no-mapping")
  expect(out(nat, 2)).toBe(port)
  expect(enters(nat, 3, port, REMOTE, 53)).toBe(40_000)
})

test("one inside endpoint cannot fill the table of remembered peers without bound", () => {
  const nat = make("port-restricted")
  for (let i = 0; i < 5000; i++) out(nat, 0, REMOTE + i)
  expect(nat.byOutsidePort(0, udp, 40_000)!.sessions.size).toBe(4096)
  expect(enters(nat, 0, 40_000, REMOTE, 53)).toBe("nat-filtered")
  expect(enters(nat, 0, 40_000, REMOTE + 4999, 53)).toBe(40_000)
})
