/**
 * What each kind of NAT does (RFC 4787), as one suite for the simulated NAT and for the kernel's: mapping, filtering, time-out,
 * hairpin, wipe and rebinding must mean the same in every world.
 */

import type { NatKind } from "@horizon/core/lab/topology.ts"
import { describe, expect, test } from "vitest"

export const NAT_KINDS: ReadonlyArray<NatKind> = ["full-cone", "address-restricted", "port-restricted", "symmetric"]

/** A host of one side by its number, 0 or 1, and a port on it. */
export interface Spot {
  readonly host: 0 | 1
  readonly port: number
}

/** A NAT with two hosts inside and two outside, without mappings at first. Ports are different in every test. */
export interface NatUnderTest {
  readonly udpTimeoutMs: number
  /** Sends a packet from inside to outside; resolves with the outside port from which it came. */
  readonly send: (from: Spot, to: Spot) => Promise<number>
  /** Sends a packet from outside to an outside port; resolves with the inside spot that got it, `undefined` if none did. */
  readonly reach: (port: number, from: Spot) => Promise<Spot | undefined>
  /** Sends a packet from inside to an outside port; resolves with who got it and from which outside port, if anybody did. */
  readonly turn: (from: Spot, port: number) => Promise<{ readonly at: Spot; readonly from: number } | undefined>
  readonly pass: (ms: number) => Promise<void>
  readonly wipe: () => Promise<void>
  readonly rebind: () => Promise<void>
}

/** RFC 4787: is the outside port the same towards every remote (§4.1), and who gets in after a packet to one of them (§5)? */
const BEHAVIOUR: Readonly<
  Record<NatKind, { readonly sameMapping: boolean; readonly sameAddress: boolean; readonly anybody: boolean }>
> = {
  "full-cone": { sameMapping: true, sameAddress: true, anybody: true },
  "address-restricted": { sameMapping: true, sameAddress: true, anybody: false },
  "port-restricted": { sameMapping: true, sameAddress: false, anybody: false },
  symmetric: { sameMapping: false, sameAddress: false, anybody: false }
}

/** Registers the suite. `make` gives an empty NAT of a kind; the kinds of one claim are tried at the same time. */
export const natContract = (world: string, make: (kind: NatKind) => Promise<NatUnderTest>): void => {
  let ports = 20_000
  /** A port that no other test uses, even so that its parity is known. */
  const freshPort = (): number => (ports += 2)

  const claim = (
    name: string,
    proof: (nat: NatUnderTest, kind: NatKind) => Promise<void>,
    kinds: ReadonlyArray<NatKind> = NAT_KINDS
  ): void => {
    describe(`${world} NAT: ${name}`, () => {
      test.concurrent.each(kinds)("%s", async (kind) => proof(await make(kind), kind))
    })
  }

  claim("the mapping depends on the remote endpoint only if symmetric (RFC 4787 §4.1)", async (nat, kind) => {
    const inside: Spot = { host: 0, port: freshPort() }
    const remote = freshPort()
    const first = await nat.send(inside, { host: 0, port: remote })
    expect(first, "the inside port is kept").toBe(inside.port)
    expect((await nat.send(inside, { host: 0, port: remote + 1 })) === first).toBe(BEHAVIOUR[kind].sameMapping)
    expect((await nat.send(inside, { host: 1, port: remote })) === first).toBe(BEHAVIOUR[kind].sameMapping)
    expect(await nat.send(inside, { host: 0, port: remote })).toBe(first)
  })

  claim("who may enter is as the kind says (RFC 4787 §5)", async (nat, kind) => {
    const inside: Spot = { host: 0, port: freshPort() }
    const remote = freshPort()
    const { anybody, sameAddress } = BEHAVIOUR[kind]
    const port = await nat.send(inside, { host: 0, port: remote })
    const got = (allowed: boolean): Spot | undefined => (allowed ? inside : undefined)
    expect(await nat.reach(port, { host: 0, port: remote }), "who was sent to").toEqual(inside)
    expect(await nat.reach(port, { host: 0, port: remote + 1 }), "another port of it").toEqual(got(sameAddress))
    expect(await nat.reach(port, { host: 1, port: remote }), "another host").toEqual(got(anybody))
    expect(await nat.reach(port + 1, { host: 0, port: remote }), "no mapping").toBeUndefined()
    // Sending there opens the door, but for a symmetric NAT, which opens another one.
    const second = await nat.send(inside, { host: 1, port: remote })
    expect(await nat.reach(second, { host: 1, port: remote })).toEqual(inside)
    expect(await nat.reach(port, { host: 1, port: remote })).toEqual(got(kind !== "symmetric"))
  })

  claim("two inside endpoints never share an outside port, towards whomever they send", async (nat, kind) => {
    const one: Spot = { host: 0, port: freshPort() }
    const other: Spot = { host: 1, port: one.port }
    const remote = freshPort()
    const first = await nat.send(one, { host: 0, port: remote })
    const second = await nat.send(other, { host: 1, port: remote })
    expect(first).toBe(one.port)
    expect(second).not.toBe(one.port)
    expect(second).toBeGreaterThanOrEqual(1024)
    const third = await nat.send(other, { host: 0, port: remote })
    expect(third === second).toBe(BEHAVIOUR[kind].sameMapping)
    expect(third).not.toBe(one.port)
    expect(await nat.reach(third, { host: 0, port: remote })).toEqual(other)
    expect(await nat.reach(first, { host: 0, port: remote })).toEqual(one)
  })

  claim("a mapping dies when nothing has left for the time-out; what enters does not keep it", async (nat) => {
    const inside: Spot = { host: 0, port: freshPort() }
    const remote: Spot = { host: 0, port: freshPort() }
    const port = await nat.send(inside, remote)
    for (let quarter = 1; quarter <= 2; quarter++) {
      await nat.pass(nat.udpTimeoutMs / 4)
      expect(await nat.reach(port, remote)).toEqual(inside)
    }
    await nat.pass((nat.udpTimeoutMs * 3) / 4)
    expect(await nat.reach(port, remote)).toBeUndefined()
    // Both are free again: another host inside gets the port, and its remote gets through to it.
    const next: Spot = { host: 1, port: inside.port }
    expect(await nat.send(next, remote)).toBe(port)
    expect(await nat.reach(port, remote)).toEqual(next)
  })

  claim("what leaves keeps a mapping alive (RFC 4787 REQ-6)", async (nat) => {
    const inside: Spot = { host: 0, port: freshPort() }
    const remote: Spot = { host: 0, port: freshPort() }
    const port = await nat.send(inside, remote)
    for (let third = 1; third <= 4; third++) {
      await nat.pass(nat.udpTimeoutMs / 3)
      expect(await nat.send(inside, remote)).toBe(port)
    }
    expect(await nat.reach(port, remote)).toEqual(inside)
  })

  claim(
    "the door for one remote closes though the mapping lives on for another",
    async (nat) => {
      const inside: Spot = { host: 0, port: freshPort() }
      const remote = freshPort()
      const port = await nat.send(inside, { host: 0, port: remote })
      await nat.pass((nat.udpTimeoutMs * 2) / 3)
      expect(await nat.send(inside, { host: 1, port: remote })).toBe(port)
      await nat.pass((nat.udpTimeoutMs * 2) / 3)
      expect(await nat.reach(port, { host: 0, port: remote })).toBeUndefined()
      expect(await nat.reach(port, { host: 1, port: remote })).toEqual(inside)
    },
    ["address-restricted", "port-restricted"]
  )

  claim("a rebinding moves every live flow to a new port, through which the same peers get in", async (nat) => {
    const spots: ReadonlyArray<Spot> = [
      { host: 0, port: freshPort() },
      { host: 1, port: freshPort() + 1 }
    ]
    const remote: Spot = { host: 0, port: freshPort() }
    const before: Array<number> = []
    for (const spot of spots) before.push(await nat.send(spot, remote))
    await nat.rebind()
    for (const [index, spot] of spots.entries()) {
      expect(await nat.reach(before[index], remote), "the old port").toBeUndefined()
      const port = await nat.send(spot, remote)
      expect(port).not.toBe(before[index])
      expect(port % 2, "parity (REQ-4)").toBe(spot.port % 2)
      expect(await nat.reach(port, remote)).toEqual(spot)
      expect(await nat.send(spot, remote), "it stays").toBe(port)
    }
  })

  claim("a wipe forgets every flow; the next packet makes a new one", async (nat) => {
    const inside: Spot = { host: 0, port: freshPort() }
    const remote: Spot = { host: 0, port: freshPort() }
    const port = await nat.send(inside, remote)
    expect(await nat.reach(port, remote)).toEqual(inside)
    await nat.wipe()
    expect(await nat.reach(port, remote)).toBeUndefined()
    expect(await nat.send(inside, remote)).toBe(port)
    expect(await nat.reach(port, remote)).toEqual(inside)
  })

  claim("two inside hosts meet at their outside ports as two strangers would (RFC 4787 REQ-9)", async (nat, kind) => {
    const one: Spot = { host: 0, port: freshPort() }
    const other: Spot = { host: 1, port: freshPort() }
    const remote: Spot = { host: 0, port: freshPort() }
    const ports = [await nat.send(one, remote), await nat.send(other, remote)]
    const { anybody } = BEHAVIOUR[kind]
    const knocked = await nat.turn(one, ports[1])
    expect(knocked).toEqual(anybody ? { at: other, from: ports[0] } : undefined)
    // By that the first has sent to the second, and the second may come; then it has sent to the first.
    const meets = kind !== "symmetric"
    expect(await nat.turn(other, ports[0])).toEqual(meets ? { at: one, from: ports[1] } : undefined)
    expect(await nat.turn(one, ports[1])).toEqual(meets ? { at: other, from: ports[0] } : undefined)
  })
}
