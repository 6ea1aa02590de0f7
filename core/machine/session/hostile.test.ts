import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { auditedCrypto } from "../../crypto/audit.ts"
import { stubCrypto } from "../../crypto/stub.ts"
import { DROP } from "../../wire/drop.ts"
import { HELLO, HELLO_BYTES, KIND, putHello, putHelloCookie, RETRY } from "../../wire/handshake.ts"
import { PENDING_MAX, PENDING_PREFIX_MAX } from "./pending.ts"
import { Dice, SERVER, SessionLab } from "./session.fixture.ts"
import { CLOSE } from "./session.ts"

const STRANGER = { address: "10.200.0.1", port: 9 }

describe("any datagram", () => {
  it("is dropped by a code and never throws: 100,000 random, mutated and cut ones", () => {
    const lab = new SessionLab(stubCrypto)
    const client = lab.addClient()
    const second = lab.addClient()
    second.machine.connect(0)
    lab.establish(client)
    lab.network = () => []
    const samples = lab.sent.map(({ bytes }) => bytes)
    const dice = new Dice(2026)
    for (let i = 0; i < 100_000; i++) {
      const sample = samples[dice.below(samples.length)]
      const bytes =
        dice.below(4) === 0 ? new Uint8Array(dice.below(300)) : sample.slice(0, dice.below(sample.length + 1))
      if (dice.below(4) === 0) dice.fill(bytes)
      for (let flips = dice.below(4); flips > 0 && bytes.length > 0; flips--)
        bytes[dice.below(bytes.length)] = dice.below(256)
      const target = [lab.server, client, second][dice.below(3)]
      const from = [SERVER, client.address, STRANGER][dice.below(3)]
      lab.hand(target.machine, from, bytes)
      if (i % 1000 === 0) for (const station of [lab.server, client, second]) lab.collect(station)
    }
    for (const station of [lab.server, client, second]) lab.collect(station)
    expect(client.machine.state).toBe("established")
    expect(lab.server.received).toEqual([])
    expect(client.received).toEqual([])
    const dropped = (machine: { drops: Uint32Array }): number => machine.drops.reduce((a, b) => a + b)
    expect(dropped(lab.server.machine) + dropped(client.machine) + dropped(second.machine)).toBeGreaterThan(80_000)
  })

  it("that was cut anywhere, or is empty, does no harm at any moment of a handshake", () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), (seed) => {
        const dice = new Dice(seed)
        const crypto = auditedCrypto(stubCrypto, (_, sentence) => expect.unreachable(sentence))
        const lab = new SessionLab(crypto, { seed })
        const client = lab.addClient()
        lab.network = (flight) => [
          { ...flight, bytes: flight.bytes.slice(0, dice.below(flight.bytes.length)), delayNs: 1e6 },
          flight
        ]
        lab.establish(client)
        expect(client.machine.state).toBe("established")
      }),
      { numRuns: 40 }
    )
  })
})

describe("a flood of HELLO", () => {
  /** A HELLO with fresh client values, as any program can make one. */
  const helloOf = (dice: Dice): Uint8Array => {
    const hello = new Uint8Array(HELLO_BYTES)
    const random = new Uint8Array(16)
    const ephemeral = new Uint8Array(32)
    dice.fill(random)
    dice.fill(ephemeral)
    putHello(hello, [1], [1], random, ephemeral)
    return hello
  }

  /** The same from a host that answers the server's RETRY. */
  const provedHello = (lab: SessionLab, dice: Dice, from: { address: string; port: number }): Uint8Array => {
    const hello = helloOf(dice)
    lab.hand(lab.server.machine, from, hello)
    lab.collect(lab.server)
    putHelloCookie(hello, lab.sent.at(-1)!.bytes, RETRY.cookie)
    return hello
  }
  const acceptsOf = (lab: SessionLab): number => lab.sent.filter(({ bytes }) => bytes[14] === KIND.accept).length
  const quiet = (): SessionLab => new SessionLab(stubCrypto, { network: () => [] })

  it("without cookies leaves no state and costs no key agreement", () => {
    let agreements = 0
    const crypto = {
      ...stubCrypto,
      x25519Shared: (secret: Uint8Array, peer: Uint8Array) => {
        agreements++
        return stubCrypto.x25519Shared(secret, peer)
      }
    }
    const lab = new SessionLab(crypto, { network: () => [] })
    const dice = new Dice(8)
    for (let i = 0; i < 2000; i++) {
      const hello = helloOf(dice)
      // Half of them with a made-up cookie.
      if (i % 2 === 0) putHelloCookie(hello, hello, 0)
      lab.hand(lab.server.machine, { address: `10.1.${i >> 8}.${i & 255}`, port: 1 + i }, hello)
      lab.collect(lab.server)
    }
    expect(agreements).toBe(0)
    expect(lab.server.machine.pollTimeout()).toBe(Number.POSITIVE_INFINITY)
    expect(lab.server.machine.drops[DROP.cookie]).toBe(1000)
    expect(lab.sent.length).toBe(2000)
  })

  it("from one prefix takes its share of the pending table and no more", () => {
    const lab = quiet()
    const dice = new Dice(9)
    for (let i = 0; i < PENDING_PREFIX_MAX + 50; i++) {
      const from = { address: `10.1.2.${i & 255}`, port: 1000 + i }
      lab.hand(lab.server.machine, from, provedHello(lab, dice, from))
      lab.collect(lab.server)
    }
    expect(acceptsOf(lab)).toBe(PENDING_PREFIX_MAX)
    expect(lab.server.machine.drops[DROP.flood]).toBe(50)
    const other = { address: "2001:db8:1::1", port: 5 }
    lab.hand(lab.server.machine, other, provedHello(lab, dice, other))
    lab.collect(lab.server)
    expect(acceptsOf(lab)).toBe(PENDING_PREFIX_MAX + 1)
  })

  it("from everywhere fills the table, then the oldest give way after a second, and all are forgotten after ten", () => {
    const lab = quiet()
    const dice = new Dice(10)
    const from = (i: number) => ({ address: `10.${i >> 8}.${i & 255}.1`, port: 1000 })
    const proved = (i: number): void => {
      lab.hand(lab.server.machine, from(i), provedHello(lab, dice, from(i)))
      lab.collect(lab.server)
    }
    for (let i = 0; i < PENDING_MAX + 20; i++) proved(i)
    expect(acceptsOf(lab)).toBe(PENDING_MAX)
    expect(lab.server.machine.drops[DROP.flood]).toBe(20)
    lab.run(2e9)
    for (let i = 2000; i < 2020; i++) proved(i)
    expect(acceptsOf(lab)).toBe(PENDING_MAX + 20)
    lab.run(13e9)
    expect(lab.server.machine.pollTimeout()).toBe(Number.POSITIVE_INFINITY)
    proved(3000)
    expect(acceptsOf(lab)).toBe(PENDING_MAX + 21)
  })

  it("repeated with one valid cookie gets one ACCEPT, said again a bounded number of times", () => {
    const lab = quiet()
    const hello = provedHello(lab, new Dice(11), STRANGER)
    for (let i = 0; i < 100; i++) {
      lab.hand(lab.server.machine, STRANGER, hello)
      lab.collect(lab.server)
    }
    expect(acceptsOf(lab)).toBe(17)
    expect(lab.server.machine.drops[DROP.duplicate]).toBe(83)
  })

  it("without a common suite gets signed refusals, a bounded number each second", () => {
    const lab = quiet()
    const dice = new Dice(12)
    const refuse = (): void => {
      const hello = provedHello(lab, dice, STRANGER)
      hello[HELLO.versions] = 9
      lab.hand(lab.server.machine, STRANGER, hello)
      lab.collect(lab.server)
    }
    for (let i = 0; i < 100; i++) refuse()
    const refusals = (): number => lab.sent.filter(({ bytes }) => bytes[14] === KIND.refuse).length
    expect(refusals()).toBe(64)
    lab.run(1e9)
    refuse()
    expect(refusals()).toBe(65)
  })

  it("with the all-zero key is refused and holds no slot", () => {
    const lab = quiet()
    const hello = helloOf(new Dice(13))
    hello.fill(0, HELLO.ephemeral, HELLO.ephemeral + 32)
    lab.hand(lab.server.machine, STRANGER, hello)
    lab.collect(lab.server)
    putHelloCookie(hello, lab.sent.at(-1)!.bytes, RETRY.cookie)
    lab.hand(lab.server.machine, STRANGER, hello)
    expect(lab.server.machine.drops[DROP.malformed]).toBe(1)
    expect(lab.server.machine.pollTimeout()).toBe(Number.POSITIVE_INFINITY)
  })

  it("does not keep an honest client out", () => {
    const lab = new SessionLab(stubCrypto)
    const client = lab.addClient()
    const dice = new Dice(14)
    client.machine.connect(0)
    for (let ms = 0; ms < 100; ms++) {
      for (let i = 0; i < 50; i++) {
        lab.inject({ address: `10.${50 + (i % 200)}.${ms}.1`, port: 7 }, SERVER, helloOf(dice))
      }
      lab.run(ms * 1e6)
    }
    expect(client.machine.state).toBe("established")
    expect(lab.server.machine.sessions().length).toBe(1)
  })
})

describe("an attacker against the client", () => {
  it("cannot make it compute without end by inventing answers", () => {
    let agreements = 0
    const crypto = {
      ...stubCrypto,
      x25519Shared: (secret: Uint8Array, peer: Uint8Array) => {
        agreements++
        return stubCrypto.x25519Shared(secret, peer)
      }
    }
    const lab = new SessionLab(crypto)
    const client = lab.addClient()
    lab.network = (flight) => {
      if (flight.bytes[14] !== KIND.hello || flight.to.port !== SERVER.port) return []
      const random = flight.bytes.subarray(HELLO.random, HELLO.random + 16)
      return Array.from({ length: 40 }, (_, i) => {
        const bytes = new Uint8Array([198, 79, 96][i % 3])
        bytes[4] = 3
        bytes[14] = [KIND.accept, KIND.retry, KIND.refuse][i % 3]
        bytes.set([1, 1, 0, 1], 15)
        bytes.set(random, [22, 15, 16][i % 3])
        bytes[70] = i
        return { from: SERVER, to: client.address, bytes, delayNs: 1e6 + i }
      })
    }
    lab.establish(client)
    expect(client.events).toMatchObject([{ kind: "closed", reason: CLOSE.handshakeTimeout }])
    expect(agreements).toBeLessThanOrEqual(16)
    expect(lab.sent.length).toBeLessThan(60)
    expect(client.machine.drops[DROP.flood]).toBeGreaterThan(0)
  })

  it("gets nothing but drops for answers to what was not asked", () => {
    const lab = new SessionLab(stubCrypto)
    const client = lab.addClient()
    lab.establish(client)
    const idle = lab.addClient()
    for (const { bytes } of lab.sent) {
      lab.hand(idle.machine, SERVER, bytes)
      lab.hand(client.machine, SERVER, bytes)
    }
    lab.collect(idle)
    expect(idle.machine.state).toBe("idle")
    expect(idle.events).toEqual([])
    expect(client.machine.state).toBe("established")
    idle.machine.connect(lab.nowNs)
    for (const { bytes } of lab.sent) lab.hand(idle.machine, SERVER, bytes)
    expect(idle.machine.drops[DROP.unexpected]).toBeGreaterThan(0)
    expect(idle.machine.state).toBe("connecting")
  })
})
