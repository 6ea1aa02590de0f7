import { describe, expect, it } from "vitest"
import { type AuditFinding, auditedCrypto } from "../../crypto/audit.ts"
import { nobleCrypto } from "../../crypto/noble.ts"
import { stubCrypto } from "../../crypto/stub.ts"
import { DatagramBatch, Outbox } from "../../wire/batch.ts"
import { DROP } from "../../wire/drop.ts"
import { FRAME } from "../../wire/frame.ts"
import { describeClose } from "./reasons.ts"
import { type Flight, hostile, type LabClient, type LabOptions, SERVER, SessionLab } from "./session.fixture.ts"
import { CHANNEL, CLOSE, SEND } from "./session.ts"

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const isUp = (flight: Flight): boolean => flight.to.port === SERVER.port

const connected = (options: LabOptions = {}, crypto = stubCrypto): { lab: SessionLab; client: LabClient } => {
  const lab = new SessionLab(crypto, options)
  const client = lab.addClient()
  lab.establish(client)
  expect(client.machine.state).toBe("established")
  return { lab, client }
}

const sendUp = (lab: SessionLab, client: LabClient, text: string, channel: number = CHANNEL.tunnel): number => {
  const bytes = bytesOf(text)
  return client.machine.send(lab.nowNs, channel, bytes, 0, bytes.length)
}
const sendDown = (lab: SessionLab, session: number, text: string, channel: number = CHANNEL.tunnel): number => {
  const bytes = bytesOf(text)
  return lab.server.machine.send(lab.nowNs, session, channel, bytes, 0, bytes.length)
}

describe("data", () => {
  it("arrives once and whole, from any place in the sender's bytes, on every channel of the application", () => {
    const { lab, client } = connected()
    for (const channel of [CHANNEL.unreliable, CHANNEL.ordered, CHANNEL.unordered, CHANNEL.tunnel]) {
      const bytes = bytesOf("..\x10channel..")
      expect(client.machine.send(lab.nowNs, channel, bytes, 2, 8)).toBe(SEND.ok)
      expect(lab.server.machine.send(lab.nowNs, 0, channel, bytes, 2, 8)).toBe(SEND.ok)
    }
    lab.run(lab.nowNs + 20e6)
    for (const received of [lab.server.received, client.received]) {
      expect(received.map(({ channel }) => channel)).toEqual([0, 1, 2, 4])
      for (const { bytes, session } of received) {
        expect(new TextDecoder().decode(bytes)).toBe("\x10channel")
        expect(session).toBe(0)
      }
    }
  })

  it("arrives at most once under duplication, reordering and loss, and no nonce is ever used twice", () => {
    const crypto = auditedCrypto(stubCrypto, (_, sentence) => expect.unreachable(sentence))
    const { lab, client } = connected({ seed: 3, server: { replayWindow: 8192 } }, crypto)
    lab.network = hostile(lab.dice, 10, 20, 300e6)
    for (let i = 0; i < 500; i++) {
      sendUp(lab, client, `${i}`)
      lab.run(lab.nowNs + 1e6)
    }
    lab.run(lab.nowNs + 1e9)
    const got = lab.server.received.map(({ bytes }) => new TextDecoder().decode(bytes))
    expect(new Set(got).size).toBe(got.length)
    expect(got.length).toBeGreaterThan(420)
    expect(got).not.toEqual([...got].sort((a, b) => Number(a) - Number(b)))
    expect(lab.server.machine.drops[DROP.replay]).toBeGreaterThan(20)
    expect(crypto.audit.opened).toBeGreaterThan(420)
  })

  it("is counted, datagram by datagram", () => {
    const { lab, client } = connected()
    const before = client.machine.info()!
    sendUp(lab, client, "12345")
    lab.run(lab.nowNs + 20e6)
    const after = client.machine.info()!
    expect(after.packetsOut - before.packetsOut).toBe(1)
    expect(after.bytesOut - before.bytesOut).toBe(5 + 30)
    expect(lab.server.machine.info(0)).toMatchObject({ packetsIn: 1, bytesIn: 35, peer: client.address })
  })

  it("that is too long, or for nobody, is refused to the sender by a code", () => {
    const { lab, client } = connected()
    const long = new Uint8Array(2000)
    expect(client.machine.send(lab.nowNs, 4, long, 0, 1170)).toBe(SEND.ok)
    expect(client.machine.send(lab.nowNs, 4, long, 0, 1171)).toBe(SEND.tooLong)
    expect(lab.server.machine.send(lab.nowNs, 0, 4, long, 0, 1171)).toBe(SEND.tooLong)
    expect(sendDown(lab, 57, "x")).toBe(SEND.noSession)
    const idle = lab.addClient()
    expect(sendUp(lab, idle, "x")).toBe(SEND.noSession)
    idle.machine.connect(lab.nowNs)
    expect(sendUp(lab, idle, "x")).toBe(SEND.notEstablished)
  })

  it("may be longer where the path is known to take it, but never than a slot", () => {
    const lab = new SessionLab(stubCrypto)
    const client = lab.addClient({ datagramBytesMax: 9000 })
    lab.establish(client)
    expect(client.machine.send(lab.nowNs, 4, new Uint8Array(2018), 0, 2018)).toBe(SEND.ok)
    expect(client.machine.send(lab.nowNs, 4, new Uint8Array(2019), 0, 2019)).toBe(SEND.tooLong)
  })

  it("on the control channel, or posing as a frame of the session, is a bug of the application", () => {
    const { lab, client } = connected()
    expect(() => sendUp(lab, client, "\x10", CHANNEL.control)).toThrow(/control channel/)
    expect(() => sendUp(lab, client, "\x08", CHANNEL.ordered)).toThrow(/type 16/)
  })

  it("that overtakes READY is dropped, not handed to an application that is not ready", () => {
    const lab = new SessionLab(stubCrypto)
    const client = lab.addClient()
    let held: Flight | undefined
    lab.network = (flight) => {
      if (isUp(flight) || flight.bytes[5] === 0 || held !== undefined) return [flight]
      held = flight
      return []
    }
    client.machine.connect(0)
    lab.run(60e6, () => held !== undefined)
    sendDown(lab, 0, "early")
    lab.run(lab.nowNs + 15e6)
    expect(client.machine.state).toBe("connecting")
    expect(client.machine.drops[DROP.unexpected]).toBe(1)
    lab.run(lab.nowNs + 1e9)
    expect(client.machine.state).toBe("established")
    expect(client.received).toEqual([])
  })

  it("sent before the server has seen CONFIRM is dropped there", () => {
    const lab = new SessionLab(stubCrypto)
    const client = lab.addClient()
    client.machine.connect(0)
    lab.run(35e6)
    const pendingId = Uint8Array.of(3, 0, 0, 1)
    const sealed = new Uint8Array(40)
    sealed.set(pendingId)
    sealed.set([4, 3], 4)
    lab.hand(lab.server.machine, client.address, sealed)
    expect(lab.server.machine.drops[DROP.unexpected]).toBe(1)
  })
})

describe("heartbeat", () => {
  it("keeps an idle session alive, one PING and one PONG each two seconds, and measures the round trip", () => {
    const { lab, client } = connected()
    const before = lab.sent.length
    lab.run(lab.nowNs + 60e9)
    expect(client.machine.state).toBe("established")
    expect(lab.sent.length - before).toBeGreaterThanOrEqual(56)
    expect(lab.sent.length - before).toBeLessThanOrEqual(62)
    expect(client.machine.info()?.rttNs).toBe(20e6)
  })

  it("follows the round trip when the path becomes slower", () => {
    const { lab, client } = connected()
    lab.network = (flight) => [{ ...flight, delayNs: 100e6 }]
    lab.run(lab.nowNs + 120e9)
    expect(client.machine.info()?.rttNs).toBeGreaterThan(190e6)
    expect(client.machine.info()?.rttNs).toBeLessThanOrEqual(200e6)
  })

  it("measures in a busy session too", () => {
    const { lab, client } = connected()
    const before = lab.sent.length
    for (let i = 0; i < 220; i++) {
      sendUp(lab, client, "up")
      sendDown(lab, 0, "down")
      lab.run(lab.nowNs + 100e6)
    }
    // Two PINGs from each end in 22 s, and their answers.
    expect(lab.sent.length - before - 440).toBe(8)
  })

  it("ends a session that has heard nothing for ten seconds, at both ends, and wipes its keys", () => {
    const { lab, client } = connected()
    lab.network = () => []
    const from = lab.nowNs
    lab.run(from + 9.9e9)
    expect(client.machine.state).toBe("established")
    lab.run(from + 10.1e9)
    expect(client.machine.state).toBe("closed")
    expect(client.events.at(-1)).toMatchObject({ kind: "closed", session: 0, reason: CLOSE.timeout })
    expect(lab.server.events.at(-1)).toMatchObject({ kind: "closed", session: 0, reason: CLOSE.timeout })
    expect(lab.server.machine.sessions()).toEqual([])
    expect(lab.server.machine.info(0)).toBeUndefined()
    expect(client.machine.info()).toBeUndefined()
    expect(lab.server.machine.pollTimeout()).toBe(Number.POSITIVE_INFINITY)
    expect(client.machine.pollTimeout()).toBe(Number.POSITIVE_INFINITY)
  })

  it("tells the end that still hears, when only one direction is dead", () => {
    const { lab, client } = connected()
    lab.network = (flight) => (isUp(flight) ? [] : [flight])
    lab.run(lab.nowNs + 10.2e9)
    expect(client.events.at(-1)).toMatchObject({ kind: "closed", reason: CLOSE.timeout })
    expect(client.machine.state).toBe("closed")
  })
})

describe("closing", () => {
  it.each(["client", "server"] as const)("by the %s is told three times and understood with two lost", (who) => {
    const { lab, client } = connected()
    const before = lab.sent.length
    let seen = 0
    lab.network = (flight) => (seen++ < 2 ? [] : [flight])
    if (who === "client") client.machine.close(lab.nowNs, CLOSE.normal)
    else lab.server.machine.close(lab.nowNs, 0, CLOSE.shutdown)
    lab.run(lab.nowNs + 100e6)
    expect(lab.sent.length - before).toBe(3)
    const reason = who === "client" ? CLOSE.normal : CLOSE.shutdown
    expect(client.events.at(-1)).toMatchObject({ kind: "closed", reason })
    expect(lab.server.events.at(-1)).toMatchObject({ kind: "closed", reason })
    expect(sendUp(lab, client, "x")).toBe(SEND.noSession)
    expect(sendDown(lab, 0, "x")).toBe(SEND.noSession)
  })

  it("of all sessions tells every client", () => {
    const { lab, client } = connected()
    const other = lab.addClient()
    lab.establish(other)
    lab.server.machine.closeAll(lab.nowNs, CLOSE.shutdown)
    lab.run(lab.nowNs + 20e6)
    for (const { events } of [client, other])
      expect(events.at(-1)).toMatchObject({ kind: "closed", reason: CLOSE.shutdown })
    expect(lab.server.machine.sessions()).toEqual([])
  })

  it("twice, or of what never was, does nothing", () => {
    const { lab, client } = connected()
    client.machine.close(lab.nowNs, CLOSE.normal)
    client.machine.close(lab.nowNs, CLOSE.normal)
    lab.server.machine.close(lab.nowNs, 55, CLOSE.normal)
    lab.addClient().machine.close(lab.nowNs, CLOSE.normal)
    lab.run(lab.nowNs + 20e6)
    expect(client.events.filter(({ kind }) => kind === "closed").length).toBe(1)
  })

  it("while connecting ends the attempt; a server that has the session already is told", () => {
    const lab = new SessionLab(stubCrypto)
    const client = lab.addClient()
    client.machine.connect(0)
    lab.run(5e6)
    client.machine.close(lab.nowNs, CLOSE.normal)
    lab.run(lab.nowNs + 1e9)
    expect(client.events).toMatchObject([{ kind: "closed", connectionId: 0, reason: CLOSE.normal }])
    client.machine.connect(lab.nowNs)
    lab.run(lab.nowNs + 55e6)
    expect(lab.server.machine.sessions().length).toBe(1)
    expect(client.machine.state).toBe("connecting")
    client.machine.close(lab.nowNs, CLOSE.normal)
    lab.run(lab.nowNs + 100e6)
    expect(lab.server.machine.sessions()).toEqual([])
  })

  it("from inside the data handler is allowed at both ends", () => {
    const { lab, client } = connected()
    const closeServer = (): void => lab.server.machine.close(lab.nowNs, 0, CLOSE.forbidden)
    lab.server.received.push = (...items) => {
      closeServer()
      return items.length
    }
    sendUp(lab, client, "bad")
    lab.run(lab.nowNs + 50e6)
    expect(client.events.at(-1)).toMatchObject({ kind: "closed", reason: CLOSE.forbidden })
    lab.establish(client)
    client.received.push = (...items) => {
      client.machine.close(lab.nowNs, CLOSE.normal)
      return items.length
    }
    sendDown(lab, lab.server.machine.sessions()[0], "bye")
    lab.run(lab.nowNs + 50e6)
    expect(lab.server.machine.sessions()).toEqual([])
  })

  it("has words for every reason that say what to do, and for those of the future", () => {
    const sentences = Object.values(CLOSE).map(describeClose)
    expect(new Set(sentences).size).toBe(sentences.length)
    for (const sentence of sentences) expect(sentence).toMatch(/^[A-Z].*\..*\.$/)
    expect(describeClose(200)).toContain("200")
  })
})

describe("slots", () => {
  it("go to the same device's new session, and the old one is told", () => {
    const { lab, client } = connected()
    const ids = [client.machine.info()!.connectionId]
    lab.establish(client)
    ids.push(client.machine.info()!.connectionId)
    expect(ids[0]).not.toBe(ids[1])
    expect(lab.server.events.map((event) => [event.kind, "reason" in event ? event.reason : undefined])).toEqual([
      ["established", undefined],
      ["closed", CLOSE.replaced],
      ["established", undefined]
    ])
    expect(lab.server.machine.sessions().length).toBe(1)
  })

  it("tell a second program with the same device key why it lost its session", () => {
    const { lab, client } = connected()
    const twin = lab.addClient({ identity: client.device })
    lab.establish(twin)
    lab.run(lab.nowNs + 50e6)
    expect(client.events.at(-1)).toMatchObject({ kind: "closed", reason: CLOSE.replaced })
    expect(twin.machine.state).toBe("established")
  })

  it("come back under another connection id, so that packets of the old session find nobody", () => {
    const { lab, client } = connected({ server: { sessionsMax: 1 } })
    sendUp(lab, client, "from the old session")
    lab.collect(client)
    const old = lab.sent.at(-1)!
    const seen = new Set<number>()
    for (let i = 0; i < 6; i++) {
      seen.add(client.machine.info()!.connectionId)
      client.machine.close(lab.nowNs, CLOSE.normal)
      lab.run(lab.nowNs + 50e6)
      lab.establish(client)
    }
    expect(seen.size).toBe(6)
    const before = lab.server.machine.drops[DROP.unknownConnection]
    const received = lab.server.received.length
    lab.inject(client.address, SERVER, old.bytes)
    lab.run(lab.nowNs + 1e6)
    expect(lab.server.machine.drops[DROP.unknownConnection]).toBe(before + 1)
    expect(lab.server.received.length).toBe(received)
  })

  it("are not given out again before the end of their session was polled", () => {
    const lab = new SessionLab(stubCrypto, { server: { sessionsMax: 1 } })
    const client = lab.addClient()
    lab.establish(client)
    const polled = lab.server.machine.pollEvent
    lab.server.machine.pollEvent = () => undefined
    const slots = new Set<number>()
    for (let i = 0; i < 3; i++) {
      lab.establish(client)
      slots.add(lab.server.machine.sessions()[0])
    }
    expect(slots.size).toBe(3)
    lab.server.machine.pollEvent = polled
    lab.collect(lab.server)
    expect(lab.server.events.filter(({ kind }) => kind === "closed").length).toBe(3)
  })
})

describe("frames inside a session", () => {
  /** Sends a body on a channel under the session's keys, whatever it is. */
  const sayRaw = (lab: SessionLab, client: LabClient, channel: number, body: ReadonlyArray<number>): void => {
    const { connection } = client.machine as unknown as {
      connection: { options: { records: { seal: (...args: ReadonlyArray<unknown>) => number } } }
    }
    const outbox = new Outbox(new DatagramBatch(1), () => {})
    const source = Uint8Array.from(body)
    const length = connection.options.records.seal(channel, source, 0, source.length, outbox, 0)
    lab.inject(client.address, SERVER, outbox.batch.slab.subarray(0, length))
    lab.run(lab.nowNs + 1)
    lab.collect(lab.server)
  }

  it("of later features are read past, and what follows them arrives", () => {
    const { lab, client } = connected()
    sayRaw(lab, client, 0, [1, 0, 0, 0, 0, 2, 1, 1, 9, 6, 1, 9, 7, 1, 9, 16, 42])
    expect(lab.server.received.map(({ bytes }) => [...bytes])).toEqual([[16, 42]])
    sayRaw(lab, client, 0, [3, 1, 0, 0, 9])
    expect(lab.server.received.length).toBe(1)
  })

  it("are answered once a datagram, however often they ask", () => {
    const { lab, client } = connected()
    const before = lab.sent.length
    sayRaw(lab, client, 3, [4, 1, 0, 0, 0, 4, 2, 0, 0, 0, 4, 3, 0, 0, 0, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8])
    expect(lab.sent.length - before).toBe(1)
    sayRaw(lab, client, 3, [9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8])
    expect(lab.sent.length - before).toBe(2)
  })

  it.each([
    ["malformed ones", 0, [0], DROP.malformed],
    ["READY from a client", 3, [FRAME.ready, 0], DROP.unexpected],
    ["the application's on the control channel", 3, [16, 1], DROP.unexpected]
  ])("that may not be there are dropped: %s", (_, channel, body, drop) => {
    const { lab, client } = connected()
    sayRaw(lab, client, channel, body)
    expect(lab.server.machine.drops[drop]).toBe(1)
    expect(lab.server.received).toEqual([])
    expect(lab.server.machine.sessions()).toEqual([0])
  })

  it("that answer nothing change nothing", () => {
    const { lab, client } = connected()
    const rtt = lab.server.machine.info(0)?.rttNs
    sayRaw(lab, client, 3, [5, 77, 0, 0, 0, 9, 1, 1, 2, 3, 4, 5, 6, 7, 8])
    expect(lab.server.machine.info(0)).toMatchObject({ rttNs: rtt, peer: client.address })
  })
})

describe("limits", () => {
  it("end a session whose tags failed 2^36 times", () => {
    const { lab, client } = connected()
    for (const station of [client.machine, lab.server.machine]) {
      const { connection } =
        (station as unknown as { live?: ReadonlyArray<{ connection: unknown }> }).live?.[0] ?? (station as never)
      ;(connection as { options: { records: { failedOpens: number } } }).options.records.failedOpens = 2 ** 36 - 1
    }
    sendUp(lab, client, "x")
    lab.collect(client)
    const forged = lab.sent.at(-1)!.bytes.slice()
    forged[12] ^= 1
    lab.hand(lab.server.machine, client.address, forged)
    lab.collect(lab.server)
    expect(lab.server.events.at(-1)).toMatchObject({ kind: "closed", reason: CLOSE.limit })
    const down = lab.sent.at(-1)!.bytes.slice()
    down[20] ^= 1
    lab.hand(client.machine, SERVER, down)
    lab.collect(client)
    expect(client.events.at(-1)).toMatchObject({ kind: "closed", reason: CLOSE.limit })
  })

  it("stop the sender when its sequences are used up", () => {
    const { lab, client } = connected()
    const { connection } = client.machine as unknown as { connection: { options: { records: object } } }
    Object.assign(connection.options.records, { nextHigh: 0x40000000 })
    expect(sendUp(lab, client, "x")).toBe(SEND.exhausted)
    const before = lab.sent.length
    client.machine.close(lab.nowNs, CLOSE.limit)
    lab.collect(client)
    expect(lab.sent.length).toBe(before)
  })

  it("are checked when an endpoint is made", () => {
    const lab = new SessionLab(stubCrypto)
    expect(() => new SessionLab(stubCrypto, { server: { sessionsMax: 70_000 } })).toThrow(/sessions/)
    expect(() => new SessionLab(stubCrypto, { server: { worker: 256 } })).toThrow(/worker/)
    expect(() => lab.addClient({ server: { address: "gateway.example", port: 1 } })).toThrow(/IP address/)
    expect(() => lab.addClient({ ticket: new Uint8Array(296) })).toThrow(/295/)
    const wordy = new SessionLab(stubCrypto, { server: { parameters: () => new Uint8Array(257) } })
    expect(() => wordy.establish(wordy.addClient())).toThrow(/256/)
  })
})

describe("keys", () => {
  it("are all wiped when sessions end, are refused, or never come about", () => {
    const keys = new Set<object>()
    const crypto: typeof stubCrypto = {
      ...stubCrypto,
      aead: (name, key) => {
        const aead = stubCrypto.aead(name, key)
        keys.add(aead)
        aead.wipe = () => keys.delete(aead)
        return aead
      }
    }
    const { lab, client } = connected({}, crypto)
    expect(keys.size).toBe(4)
    lab.establish(client)
    expect(keys.size).toBe(4)
    lab.establish(lab.addClient({}, { expiresMs: 1 }))
    lab.establish(lab.addClient({ serverKey: new Uint8Array(32) }))
    client.machine.close(lab.nowNs, CLOSE.normal)
    lab.run(lab.nowNs + 1e9)
    expect(keys.size).toBe(0)
  })

  it("outlive the ticket: a step of the wall clock over its end refuses new sessions and keeps those that stand", () => {
    const { lab, client } = connected()
    lab.wallStepMs = 3_600_000
    lab.run(lab.nowNs + 20e9)
    sendUp(lab, client, "still here")
    lab.run(lab.nowNs + 20e6)
    expect(lab.server.received.length).toBe(1)
    const late = lab.addClient()
    lab.establish(late)
    expect(late.events).toMatchObject([{ kind: "refused", reason: CLOSE.ticketExpired }])
  })

  it("come about although the wall clock steps back in the middle of the handshake", () => {
    const lab = new SessionLab(stubCrypto)
    const client = lab.addClient()
    client.machine.connect(0)
    lab.run(15e6)
    lab.wallStepMs = -3000
    lab.run(2e9)
    expect(client.machine.state).toBe("established")
    expect(lab.server.machine.drops[DROP.cookie]).toBeGreaterThan(0)
  })
})

describe("planted faults are found", () => {
  const findings = (fault: string): ReadonlyArray<AuditFinding> => {
    const found = new Set<AuditFinding>()
    const crypto = auditedCrypto(nobleCrypto, (finding) => found.add(finding))
    const { lab, client } = connected({ server: { faultPoint: (name) => name === fault } }, crypto)
    lab.network = (flight) => [flight, flight]
    for (let i = 0; i < 40; i++) {
      sendUp(lab, client, "up")
      sendDown(lab, 0, "down")
      lab.run(lab.nowNs + 5e6)
    }
    return [...found]
  }

  it("none: the audit has nothing to report", () => {
    expect(findings("")).toEqual([])
  })
  it("session.replay.accept: a replay is opened", () => {
    expect(findings("session.replay.accept")).toEqual(["replay-opened"])
  })
  it("session.sequence.reuse: a nonce is used twice", () => {
    expect(findings("session.sequence.reuse")).toEqual(["nonce-reused"])
  })
})
