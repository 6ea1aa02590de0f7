import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type AuditedCrypto, auditedCrypto } from "../../crypto/audit.ts"
import { identityFromSeed } from "../../crypto/identity.ts"
import { nobleCrypto } from "../../crypto/noble.ts"
import { stubCrypto } from "../../crypto/stub.ts"
import { DROP } from "../../wire/drop.ts"
import { HELLO, KIND } from "../../wire/handshake.ts"
import { type Flight, hostile, type LabClient, PERFECT, SERVER, SessionLab, WALL_START_MS } from "./session.fixture.ts"
import { CLOSE, type CloseReason } from "./session.ts"

const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)
const kindOf = (flight: Flight): number => (flight.bytes[5] === 0 ? flight.bytes[14] : 0)
const isUp = (flight: Flight): boolean => flight.to.port === SERVER.port

const audited = (inner = nobleCrypto): AuditedCrypto =>
  auditedCrypto(inner, (_, sentence) => expect.unreachable(sentence))

const roundTripOf = (lab: SessionLab, client: LabClient, text: string): void => {
  const bytes = new TextEncoder().encode(text)
  const before = lab.server.received.length
  expect(client.machine.send(lab.nowNs, 4, bytes, 0, bytes.length)).toBe(0)
  lab.run(lab.nowNs + 50e6)
  const got = lab.server.received.slice(before)
  expect(got.map((data) => new TextDecoder().decode(data.bytes))).toEqual([text])
  const { session } = got[0]
  expect(lab.server.machine.send(lab.nowNs, session, 4, bytes, 0, bytes.length)).toBe(0)
  lab.run(lab.nowNs + 50e6)
  expect(new TextDecoder().decode(client.received.at(-1)!.bytes)).toBe(text)
}

describe("handshake on a good network", () => {
  it("takes three round trips, gives both ends the same session and the client its parameters", () => {
    const lab = new SessionLab(audited())
    const client = lab.addClient()
    lab.establish(client)
    expect(client.machine.state).toBe("established")
    expect(lab.nowNs).toBe(60e6)
    expect(lab.sent.map(kindOf)).toEqual([KIND.hello, KIND.retry, KIND.hello, KIND.accept, KIND.confirm, 0])
    expect(client.ready).toEqual([Uint8Array.of(1, 0)])
    expect(client.events).toMatchObject([{ kind: "established", session: 0, peer: SERVER }])
    expect(lab.server.events).toMatchObject([
      {
        kind: "established",
        session: 0,
        peer: client.address,
        subject: { user: "ada", tenant: "lovelace", rights: 1, ticketExpiresMs: WALL_START_MS + 300_000 }
      }
    ])
    expect(client.machine.info()?.connectionId).toBe(lab.server.machine.info(0)?.connectionId)
    expect((client.machine.info()?.connectionId ?? 0) & 0xff).toBe(3)
    expect(client.machine.info()?.rttNs).toBe(20e6)
    expect(lab.server.machine.info(0)?.rttNs).toBe(20e6)
    expect(client.machine.info()?.subject.publicKey).toEqual(lab.serverIdentity.publicKey)
    roundTripOf(lab, client, "the quick brown fox")
    expect([...lab.server.machine.drops, ...client.machine.drops].every((count) => count === 0)).toBe(true)
  })

  it("never answers with more bytes than were sent to it", () => {
    const lab = new SessionLab(stubCrypto)
    lab.establish(lab.addClient({}, { user: "", tenant: "" }))
    const lengths = lab.sent.map(({ bytes }) => bytes.length)
    expect(lengths).toHaveLength(6)
    for (let i = 0; i < 6; i += 2) expect(lengths[i + 1]).toBeLessThan(lengths[i])
  })

  it("shows an observer neither who connects to whom nor what is said", () => {
    const lab = new SessionLab(nobleCrypto)
    const client = lab.addClient()
    lab.establish(client)
    roundTripOf(lab, client, "attack at dawn, attack at dawn")
    const seen = lab.sent.map(({ bytes }) => new TextDecoder("latin1").decode(bytes)).join("\n")
    const secret = [
      "attack at dawn",
      "lovelace",
      ...[client.device.publicKey, lab.serverIdentity.publicKey, lab.broker.publicKey].map((key) =>
        new TextDecoder("latin1").decode(key.subarray(0, 16))
      )
    ]
    for (const text of secret) expect(seen.includes(text)).toBe(false)
  })

  it("gives every session other keys, ids and datagrams", () => {
    const lab = new SessionLab(nobleCrypto)
    const [a, b] = [lab.addClient(), lab.addClient()]
    lab.establish(a)
    lab.establish(b)
    expect(lab.server.machine.sessions()).toEqual([0, 1])
    expect(a.machine.info()?.connectionId).not.toBe(b.machine.info()?.connectionId)
    // What one client seals, the other's session does not open.
    const bytes = Uint8Array.of(1, 2, 3)
    a.machine.send(lab.nowNs, 4, bytes, 0, 3)
    lab.network = () => []
    lab.collect(a)
    const crossed = lab.sent.at(-1)!.bytes.slice()
    new DataView(crossed.buffer).setUint32(0, b.machine.info()!.connectionId, true)
    lab.hand(lab.server.machine, a.address, crossed)
    expect(lab.server.machine.drops[DROP.forged]).toBe(1)
  })

  it("works over IPv6", () => {
    const lab = new SessionLab(stubCrypto)
    const server = { address: "2001:db8::1", port: 7000 }
    lab.server.address = server
    const client = lab.addClient({ server })
    client.address = { address: "2001:db8::2", port: 5000 }
    lab.establish(client)
    expect(client.machine.info()?.peer).toEqual(server)
  })
})

describe("handshake on a bad network", () => {
  it("completes or gives up cleanly under loss, duplication and reordering, with one session at most", () => {
    let established = 0
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.nat(35), fc.nat(30), fc.nat(200), (seed, loss, duplicate, jitterMs) => {
        const crypto = audited(stubCrypto)
        const lab = new SessionLab(crypto, { seed })
        const client = lab.addClient()
        lab.network = hostile(lab.dice, loss, duplicate, jitterMs * 1e6)
        lab.establish(client)
        lab.network = PERFECT
        lab.run(lab.nowNs + 1e9)
        const serverEstablished = lab.server.events.filter(({ kind }) => kind === "established")
        expect(serverEstablished.length).toBeLessThanOrEqual(1)
        if (client.machine.state === "established") {
          established++
          expect(lab.server.machine.sessions().length).toBe(1)
          roundTripOf(lab, client, "still here")
        } else {
          expect(client.events).toMatchObject([{ kind: "closed", reason: CLOSE.handshakeTimeout }])
        }
        expect(client.ready.length).toBe(client.machine.state === "established" ? 1 : 0)
      }),
      { numRuns: 120 }
    )
    expect(established).toBeGreaterThan(100)
  })

  it.each([0, 1, 2, 3, 4, 5])("survives the loss of its datagram number %i", (lost) => {
    const lab = new SessionLab(audited(stubCrypto))
    lab.network = (flight) => (lab.sent.length - 1 === lost ? [] : [flight])
    const client = lab.addClient()
    lab.establish(client)
    expect(client.machine.state).toBe("established")
    expect(lab.nowNs).toBeLessThan(700e6)
    expect(lab.server.machine.sessions().length).toBe(1)
  })

  it("repeats with growing pauses, gives up after 10 seconds and says why", () => {
    const lab = new SessionLab(stubCrypto)
    lab.network = () => []
    const client = lab.addClient()
    const times: Array<number> = []
    lab.network = () => {
      times.push(lab.nowNs / 1e6)
      return []
    }
    lab.establish(client)
    expect(times).toEqual([0, 250, 750, 1750, 3750, 7750])
    expect(lab.nowNs).toBe(10e9)
    expect(client.machine.state).toBe("closed")
    expect(client.events).toMatchObject([{ kind: "closed", connectionId: 0, reason: CLOSE.handshakeTimeout }])
    expect(client.machine.pollTimeout()).toBe(Number.POSITIVE_INFINITY)
    lab.network = PERFECT
    lab.establish(client)
    expect(client.machine.state).toBe("established")
  })

  it("answers a repeated HELLO with the same ACCEPT, and a repeated CONFIRM with READY, not with a second session", () => {
    const lab = new SessionLab(audited(stubCrypto))
    const client = lab.addClient()
    lab.network = (flight) => (isUp(flight) ? [flight, flight, { ...flight, delayNs: 15e6 }] : [flight])
    lab.establish(client)
    lab.run(lab.nowNs + 100e6)
    const accepts = lab.sent.filter((flight) => kindOf(flight) === KIND.accept)
    expect(accepts.length).toBe(3)
    expect(new Set(accepts.map(({ bytes }) => bytes.join())).size).toBe(1)
    expect(lab.server.machine.sessions().length).toBe(1)
    expect(client.ready.length).toBe(1)
  })

  it("starts over from a new cookie when the client's address changes on the way", () => {
    const lab = new SessionLab(stubCrypto)
    const client = lab.addClient()
    const moved = { address: "10.9.9.9", port: 777 }
    let hellos = 0
    lab.network = (flight) => {
      if (isUp(flight)) return [++hellos === 1 ? flight : { ...flight, from: moved }]
      return [flight.to.port === moved.port ? { ...flight, to: client.address } : flight]
    }
    lab.establish(client)
    expect(client.machine.state).toBe("established")
    expect(lab.server.machine.info(0)?.peer).toEqual(moved)
    expect(lab.server.machine.drops[DROP.cookie]).toBe(2)
  })

  it("takes a CONFIRM only from the address that proved itself", () => {
    const lab = new SessionLab(stubCrypto)
    const client = lab.addClient()
    lab.network = (flight) => [
      kindOf(flight) === KIND.confirm ? { ...flight, from: { address: "10.9.9.9", port: 1 } } : flight
    ]
    lab.establish(client)
    expect(client.machine.state).toBe("closed")
    expect(lab.server.machine.drops[DROP.address]).toBeGreaterThan(0)
    expect(lab.server.machine.sessions()).toEqual([])
  })

  it("waits for a server that does not know the broker's key yet", () => {
    let known = false
    const lab = new SessionLab(stubCrypto, {
      server: { brokerKey: () => (known ? lab.broker.publicKey : undefined) }
    })
    const client = lab.addClient()
    client.machine.connect(0)
    lab.run(2e9)
    expect(client.machine.state).toBe("connecting")
    expect(lab.server.machine.drops[DROP.notReady]).toBeGreaterThan(0)
    known = true
    lab.run(5e9)
    expect(client.machine.state).toBe("established")
  })
})

describe("refusals", () => {
  const refusedWith = (lab: SessionLab, client: LabClient): CloseReason | undefined => {
    lab.establish(client)
    expect(client.machine.state).toBe("closed")
    expect(lab.server.machine.sessions()).toEqual([])
    const [event] = client.events
    return event?.kind === "refused" ? event.reason : undefined
  }

  it.each<[string, (lab: SessionLab) => LabClient, CloseReason]>([
    ["a ticket that is no ticket", (lab) => lab.addClient({ ticket: filled(200, 7) }), CLOSE.ticketInvalid],
    ["an empty ticket", (lab) => lab.addClient({ ticket: filled(0, 7) }), CLOSE.ticketInvalid],
    ["an expired ticket", (lab) => lab.addClient({}, { expiresMs: WALL_START_MS }), CLOSE.ticketExpired],
    [
      "a ticket from the future",
      (lab) => lab.addClient({}, { issuedMs: WALL_START_MS + 60_000, expiresMs: WALL_START_MS + 90_000 }),
      CLOSE.ticketNotYetValid
    ],
    [
      "a ticket for another server",
      (lab) => lab.addClient({}, { serverPublicKey: filled(32, 1) }),
      CLOSE.ticketWrongServer
    ],
    ["another device's ticket", (lab) => lab.addClient({}, { devicePublicKey: filled(32, 1) }), CLOSE.deviceInvalid],
    [
      "a device that names a key it does not hold",
      (lab) => {
        const other = identityFromSeed(stubCrypto, filled(32, 99))
        const identity = { publicKey: other.publicKey, seed: filled(32, 1) }
        return lab.addClient({ identity, ticket: lab.ticketFor(other) })
      },
      CLOSE.deviceInvalid
    ]
  ])("tell a client with %s the reason, sealed, at once and three times", (_, add, reason) => {
    const lab = new SessionLab(audited(stubCrypto))
    const client = add(lab)
    expect(refusedWith(lab, client)).toBe(reason)
    expect(lab.nowNs).toBe(60e6)
    expect(lab.server.events).toEqual([{ kind: "refused", peer: client.address, reason }])
    expect(lab.sent.filter((flight) => !isUp(flight) && kindOf(flight) === 0).length).toBe(3)
  })

  it("tell a client with a ticket under a broker key that this server does not trust", () => {
    const stranger = identityFromSeed(stubCrypto, filled(32, 0x99))
    const lab = new SessionLab(stubCrypto, { server: { brokerKey: () => stranger.publicKey } })
    expect(refusedWith(lab, lab.addClient())).toBe(CLOSE.ticketInvalid)
  })

  it("carry the application's own reason", () => {
    const lab = new SessionLab(stubCrypto, {
      server: { admit: ({ user }) => (user === "ada" ? CLOSE.forbidden : undefined) }
    })
    expect(refusedWith(lab, lab.addClient())).toBe(CLOSE.forbidden)
  })

  it("say full when all sessions are taken, and not to a device that has one of them", () => {
    const lab = new SessionLab(stubCrypto, { server: { sessionsMax: 1 } })
    const first = lab.addClient()
    const second = lab.addClient()
    lab.establish(first)
    lab.establish(second)
    expect(second.events).toMatchObject([{ kind: "refused", reason: CLOSE.full }])
    lab.establish(first)
    expect(first.machine.state).toBe("established")
    lab.establish(second)
    expect(second.machine.state).toBe("closed")
  })

  it("say that there is no common suite in a signed word, to a client from the future", () => {
    const lab = new SessionLab(nobleCrypto)
    const client = lab.addClient()
    // The client itself offers another suite: the same bytes are in its own transcript.
    client.machine.connect(0)
    const { attempt } = client.machine as unknown as { attempt: { hello: Uint8Array } }
    attempt.hello[HELLO.suites] = 77
    expect(refusedAfter(lab, client)).toBe(CLOSE.noCommonSuite)
    expect(lab.server.events).toMatchObject([{ kind: "refused", reason: CLOSE.noCommonSuite }])
  })

  const refusedAfter = (lab: SessionLab, client: LabClient): CloseReason | undefined => {
    lab.run(lab.nowNs + 11e9, () => client.machine.state === "closed")
    const event = client.events.at(-1)
    return event?.kind === "refused" ? event.reason : undefined
  }

  it("are not believed from anyone but the server", () => {
    const lab = new SessionLab(nobleCrypto)
    const client = lab.addClient()
    // Someone on the way answers every HELLO with a refusal of his own, quicker than the server.
    lab.network = (flight) => {
      if (kindOf(flight) !== KIND.hello) return [flight]
      const refuse = filled(96, 0)
      refuse.set([3, 0], 4)
      refuse[14] = KIND.refuse
      refuse[15] = CLOSE.forbidden
      refuse.set(flight.bytes.subarray(HELLO.random, HELLO.random + 16), 16)
      return [flight, { from: SERVER, to: client.address, bytes: refuse, delayNs: 1 }]
    }
    lab.establish(client)
    expect(client.machine.state).toBe("established")
    expect(client.machine.drops[DROP.identity]).toBeGreaterThan(0)
  })

  it("become serverInvalid when the one who answers has another identity, after the time for the true one is over", () => {
    const lab = new SessionLab(stubCrypto)
    const client = lab.addClient({ serverKey: filled(32, 0x11) })
    expect(refusedWith(lab, client)).toBe(CLOSE.serverInvalid)
    expect(lab.nowNs).toBe(10e9)
    expect(client.machine.drops[DROP.identity]).toBeGreaterThan(0)
    expect(lab.sent.some((flight) => kindOf(flight) === KIND.confirm)).toBe(false)
  })
})

describe("tampering", () => {
  it("with any byte of any handshake datagram is refused or harmless: the client gets the true server or nothing", () => {
    const crypto = audited(stubCrypto)
    const plain = new SessionLab(crypto)
    plain.establish(plain.addClient())
    for (const [number, { bytes }] of plain.sent.entries()) {
      for (let at = 0; at < bytes.length; at++) {
        const lab = new SessionLab(auditedCrypto(stubCrypto, (_, sentence) => expect.unreachable(sentence)))
        const client = lab.addClient()
        lab.network = (flight) => {
          if (lab.sent.length - 1 !== number) return [flight]
          const changed = flight.bytes.slice()
          changed[at] ^= 0x41
          return [{ ...flight, bytes: changed }]
        }
        lab.establish(client)
        expect([client.machine.state, number, at]).toEqual(["established", number, at])
        expect(lab.server.machine.sessions().length).toBe(1)
      }
    }
  })

  it("for the whole handshake never yields a session with keys that differ", () => {
    for (const number of [0, 2, 3, 4]) {
      for (const at of [15, 16, 20, 21, 22, 30, 50, 130, 197]) {
        const lab = new SessionLab(stubCrypto)
        const client = lab.addClient()
        lab.network = (flight) => {
          const kind = [KIND.hello, 0, KIND.hello, KIND.accept, KIND.confirm][number]
          if (kindOf(flight) !== kind || at >= flight.bytes.length) return [flight]
          const changed = flight.bytes.slice()
          changed[at] ^= 0x41
          return [{ ...flight, bytes: changed }]
        }
        lab.establish(client)
        expect(client.machine.state).toBe("closed")
        expect(lab.server.machine.sessions()).toEqual([])
      }
    }
  })

  it("with the offered suites (a downgrade) changes all keys, so that nothing the server says opens", () => {
    const lab = new SessionLab(nobleCrypto)
    const client = lab.addClient()
    lab.network = (flight) => {
      if (kindOf(flight) !== KIND.hello) return [flight]
      // The client offered 1; the server sees 3 and 1, as if the client had been willing to do more.
      const changed = flight.bytes.slice()
      changed.set([2, 3, 1], HELLO.suites - 1)
      return [{ ...flight, bytes: changed }]
    }
    client.machine.connect(0)
    lab.run(2e9)
    expect(client.machine.state).toBe("connecting")
    expect(client.machine.drops[DROP.forged]).toBeGreaterThan(0)
    expect(lab.sent.some((flight) => kindOf(flight) === KIND.confirm)).toBe(false)
  })

  it("by a man in the middle with his own keys gets no CONFIRM", () => {
    const lab = new SessionLab(nobleCrypto)
    const middle = new SessionLab(nobleCrypto, {
      seed: 99,
      server: { identity: identityFromSeed(nobleCrypto, filled(32, 0x66)) }
    })
    const client = lab.addClient()
    lab.network = (flight) => {
      if (!isUp(flight)) return []
      middle.hand(middle.server.machine, flight.from, flight.bytes)
      const before = middle.sent.length
      middle.collect(middle.server)
      return middle.sent.slice(before).map(({ bytes, to }) => ({ from: SERVER, to, bytes, delayNs: 1e6 }))
    }
    client.machine.connect(0)
    lab.run(11e9)
    expect(client.events).toMatchObject([{ kind: "refused", reason: CLOSE.serverInvalid }])
    expect(lab.sent.some((flight) => kindOf(flight) === KIND.confirm)).toBe(false)
  })

  it("by replaying a whole recorded handshake opens no session", () => {
    const lab = new SessionLab(audited())
    const client = lab.addClient()
    lab.establish(client)
    const recorded = lab.sent.filter(isUp)
    client.machine.close(lab.nowNs, CLOSE.normal)
    lab.run(lab.nowNs + 1e9)
    expect(lab.server.machine.sessions()).toEqual([])
    const fresh = new SessionLab(audited(), { seed: 5 })
    for (const flight of recorded) {
      for (const target of [lab, fresh]) {
        target.inject(flight.from, SERVER, flight.bytes)
        target.run(target.nowNs + 100e6)
      }
    }
    expect(lab.server.machine.sessions()).toEqual([])
    expect(fresh.server.machine.sessions()).toEqual([])
    expect(lab.server.events.filter(({ kind }) => kind === "established").length).toBe(1)
  })
})
