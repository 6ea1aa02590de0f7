import { expect, test } from "vitest"
import { stubCrypto } from "../../crypto/stub.ts"
import { DROP } from "../../wire/drop.ts"
import { FRAME } from "../../wire/frame.ts"
import { isSealed } from "../../wire/header.ts"
import { Dice, hostile, type LabClient, type LabServer, type Network, SessionLab } from "./session.fixture.ts"
import { CHANNEL, CLOSE, SEND } from "./session.ts"

/** Counts from outside what goes into a station and what comes out of it. */
const watch = (station: LabServer | LabClient) => {
  const counts = { handed: 0, written: 0 }
  const { machine, outbox } = station
  const handle = machine.handleDatagram.bind(machine)
  machine.handleDatagram = (nowNs, batch, index) => {
    counts.handed++
    handle(nowNs, batch, index)
  }
  const commit = outbox.commit.bind(outbox)
  outbox.commit = (length) => {
    counts.written++
    commit(length)
  }
  return counts
}

/** What the sentences at the head of traffic.ts say of a station: each is 0. */
const unexplained = (station: LabServer | LabClient, counts: ReturnType<typeof watch>, sent: number) => {
  const { machine, received } = station
  const traffic = machine.traffic()
  const drops = machine.drops.reduce((sum, count) => sum + count, 0)
  return {
    handed: counts.handed - traffic.handshakesIn - traffic.packetsIn + traffic.discarded - drops,
    opened: traffic.packetsIn - received.length - traffic.controlIn - traffic.discarded,
    sealed: traffic.packetsOut - sent - traffic.controlOut,
    written: counts.written - traffic.handshakesOut - traffic.packetsOut
  }
}
const EXACT = { handed: 0, opened: 0, sealed: 0, written: 0 }

/** Changes one byte of some datagrams. */
const damaging =
  (dice: Dice, percent: number, next: Network): Network =>
  (flight) => {
    if (dice.below(100) >= percent || flight.bytes.length === 0) return next(flight)
    const bytes = flight.bytes.slice()
    bytes[dice.below(bytes.length)] ^= 1 + dice.below(255)
    return next({ ...flight, bytes })
  }

const DATA = [new Uint8Array(40).fill(0x45), Uint8Array.of(FRAME.application, 1, 2)]

test.each([1, 2, 3, 4, 5, 6])(
  "every datagram of server and clients is accounted for, on a bad network with sessions that come, move and go (seed %i)",
  (seed) => {
    const dice = new Dice(seed)
    const lab = new SessionLab(stubCrypto, {
      seed,
      network: damaging(dice, 5, hostile(dice, 10, 10, 30e6)),
      server: { admit: ({ user }) => (user === "mallory" ? CLOSE.forbidden : undefined) }
    })
    const users = ["ada", "ben", "mallory"]
    for (const user of users) lab.addClient({}, { user })
    // The same device twice: the older session is replaced.
    lab.addClient({ identity: lab.clients[0].device }, { user: "ada" })
    const stations = [lab.server, ...lab.clients].map((station) => ({ station, counts: watch(station), sent: 0 }))
    for (const client of lab.clients) lab.establish(client)

    for (let step = 0; step < 400; step++) {
      const at = dice.below(stations.length)
      const part = stations[at]
      const channel = dice.below(2) === 0 ? CHANNEL.tunnel : CHANNEL.unreliable
      const bytes = DATA[channel === CHANNEL.tunnel ? 0 : 1]
      const [server, client] = [lab.server.machine, lab.clients[Math.max(0, at - 1)]]
      const session = server.sessions()[dice.below(4)] ?? 0
      const code =
        at === 0
          ? server.send(lab.nowNs, session, channel, bytes, 0, bytes.length)
          : client.machine.send(lab.nowNs, channel, bytes, 0, bytes.length)
      if (code === SEND.ok) part.sent++
      if (step % 50 === 20) client.address = { ...client.address, port: 6000 + step }
      if (step % 100 === 70) client.machine.close(lab.nowNs, CLOSE.normal)
      if (step % 100 === 80)
        for (const { machine } of lab.clients) if (machine.state === "closed") machine.connect(lab.nowNs)
      if (step === 200) server.close(lab.nowNs, session, CLOSE.full)
      lab.run(lab.nowNs + dice.below(200) * 1e6)
      for (const { counts, sent, station } of stations) expect(unexplained(station, counts, sent)).toEqual(EXACT)
    }
    const traffic = lab.server.machine.traffic()
    // Nothing but a faulty peer makes a server discard what it opened.
    for (const [kind, count] of Object.entries(traffic)) expect(count > 0, kind).toBe(kind !== "discarded")
    expect(lab.server.events.filter(({ kind }) => kind === "closed").length).toBeGreaterThan(1)
  }
)

test("data that comes before READY is opened and dropped all the same: it is among the drops and said to be so", () => {
  const lab = new SessionLab(stubCrypto)
  const client = lab.addClient()
  const counts = watch(client)
  let readyIsLost = true
  lab.network = (flight) => (readyIsLost && isSealed(flight.bytes, 0) ? [] : [flight])
  client.machine.connect(lab.nowNs)
  lab.run(lab.nowNs + 1e9, () => lab.server.events.length > 0)
  readyIsLost = false
  lab.server.machine.send(lab.nowNs, 0, CHANNEL.tunnel, DATA[0], 0, DATA[0].length)
  lab.run(lab.nowNs + 1e9)
  expect(client.machine.state).toBe("established")
  expect(client.machine.traffic()).toMatchObject({ packetsIn: 2, controlIn: 1, discarded: 1 })
  expect(client.machine.drops[DROP.unexpected]).toBe(1)
  expect([client.received, unexplained(client, counts, 0)]).toEqual([[], EXACT])
})

test("a session that has ended stays in the sum", () => {
  const lab = new SessionLab(stubCrypto)
  const client = lab.addClient()
  lab.establish(client)
  const [packetsIn, packetsOut] = [client.machine.traffic().packetsIn, client.machine.traffic().packetsOut]
  client.machine.close(lab.nowNs, CLOSE.normal)
  lab.run(lab.nowNs + 1e9)
  expect(client.machine.info()).toBeUndefined()
  expect(client.machine.traffic()).toMatchObject({ packetsIn, packetsOut: packetsOut + 3, controlOut: packetsOut + 3 })
  expect(lab.server.machine.traffic()).toMatchObject({ controlIn: 1, packetsOut: 1 })
})
