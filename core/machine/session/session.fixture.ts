/**
 * A server and some clients on an in-memory network in virtual time, for the tests and the benchmark of the session machines. The network
 * is one function: what it returns for a datagram arrives.
 */

import type { Crypto, Identity } from "../../crypto/crypto.ts"
import { identityFromSeed } from "../../crypto/identity.ts"
import { type Endpoint, formatEndpoint, parseAddress } from "../../wire/address.ts"
import { DatagramBatch, Outbox } from "../../wire/batch.ts"
import { encodeTicket, RIGHT, type TicketFields } from "../../wire/ticket.ts"
import { makeClientEndpoint } from "./client.ts"
import { makeServerEndpoint } from "./server.ts"
import type { ClientEndpoint, ClientOptions, ServerEndpoint, ServerOptions, SessionEvent } from "./session.ts"

/** Wall clock at virtual time 0. */
export const WALL_START_MS = 1_700_000_000_000
export const SERVER: Endpoint = { address: "10.0.0.1", port: 7000 }

/** A small seeded generator (xorshift32). */
export class Dice {
  private state: number

  constructor(seed: number) {
    this.state = (Math.imul(seed + 1, 0x9e3779b9) ^ 0x5bd1e995) | 1
  }

  u32(): number {
    let s = this.state
    s ^= s << 13
    s ^= s >>> 17
    this.state = s ^= s << 5
    return s >>> 0
  }

  below(bound: number): number {
    return this.u32() % bound
  }

  readonly fill = (bytes: Uint8Array): void => {
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.u32() >>> 11
  }
}

/** A datagram on its way. */
export interface Flight {
  readonly from: Endpoint
  readonly to: Endpoint
  readonly bytes: Uint8Array
  readonly delayNs: number
}

/** Decides what arrives for a datagram: itself, nothing, several, something else. */
export type Network = (flight: Flight) => ReadonlyArray<Flight>

/** 10 ms each way, nothing lost. */
export const PERFECT: Network = (flight) => [flight]
export const ONE_WAY_NS = 10e6

/** Loses, duplicates and delays (so reorders) with the given chances in percent. */
export const hostile =
  (dice: Dice, lossPercent: number, duplicatePercent: number, jitterNs: number): Network =>
  (flight) => {
    const copies = dice.below(100) < lossPercent ? 0 : dice.below(100) < duplicatePercent ? 2 : 1
    return Array.from({ length: copies }, () => ({
      ...flight,
      delayNs: flight.delayNs + (jitterNs > 0 ? dice.below(jitterNs) : 0)
    }))
  }

/** What an endpoint handed to its application. */
export interface Received {
  readonly atNs: number
  readonly session: number
  readonly channel: number
  readonly bytes: Uint8Array
}

interface Station {
  address: Endpoint
  readonly machine: ServerEndpoint | ClientEndpoint
  readonly outbox: Outbox
  readonly received: Array<Received>
  readonly events: Array<SessionEvent>
  /** Where its datagrams go instead of onto the network, if set. */
  socket?: (batch: DatagramBatch, count: number) => void
}

export interface LabServer extends Station {
  readonly machine: ServerEndpoint
}
export interface LabClient extends Station {
  readonly machine: ClientEndpoint
  readonly device: Identity
  /** Parameters of each READY. */
  readonly ready: Array<Uint8Array>
}

/** What a test may set; the rest is sensible. */
export interface LabOptions {
  readonly seed?: number
  readonly network?: Network
  readonly server?: Partial<ServerOptions>
}

interface Arrival extends Flight {
  readonly atNs: number
  readonly order: number
}

export class SessionLab {
  nowNs = 0
  /** Added to the wall clock of both ends. */
  wallStepMs = 0
  network: Network
  readonly crypto: Crypto
  readonly dice: Dice
  readonly broker: Identity
  readonly serverIdentity: Identity
  readonly server: LabServer
  readonly clients: Array<LabClient> = []
  /** Every datagram that was sent, in order. */
  readonly sent: Array<Flight> = []
  private readonly arrivals: Array<Arrival> = []
  private order = 0
  private readonly rx = new DatagramBatch(1)

  constructor(crypto: Crypto, options: LabOptions = {}) {
    this.crypto = crypto
    this.dice = new Dice(options.seed ?? 1)
    this.network = options.network ?? PERFECT
    this.broker = identityFromSeed(crypto, new Uint8Array(32).fill(0xb0))
    this.serverIdentity = identityFromSeed(crypto, new Uint8Array(32).fill(0x5e))
    const received: Array<Received> = []
    const station = this.station(SERVER, received)
    const machine = makeServerEndpoint(
      {
        crypto,
        identity: this.serverIdentity,
        fill: this.dice.fill,
        wallMs: this.wallMs,
        replayWindow: 64,
        faultPoint: () => false,
        brokerKey: () => this.broker.publicKey,
        admit: () => undefined,
        parameters: (session) => Uint8Array.of(1, session),
        sessionsMax: 100,
        worker: 3,
        ...options.server
      },
      station.outbox,
      { onData: this.receiver(received) }
    )
    this.server = Object.assign(station, { machine })
  }

  readonly wallMs = (): number => WALL_START_MS + this.wallStepMs + Math.floor(this.nowNs / 1e6)

  /** Adds a client with its own device key and ticket at 10.0.1.N:5000. */
  addClient(change: Partial<ClientOptions> = {}, ticket: Partial<TicketFields> = {}): LabClient {
    const number = this.clients.length + 1
    const seed = new Uint8Array(32).fill(number)
    seed[31] = number >>> 8
    const device = change.identity ?? identityFromSeed(this.crypto, seed)
    const received: Array<Received> = []
    const ready: Array<Uint8Array> = []
    const address = { address: `10.0.${1 + (number >>> 8)}.${number & 255}`, port: 5000 }
    const station = this.station(address, received)
    const machine = makeClientEndpoint(
      {
        crypto: this.crypto,
        identity: device,
        fill: this.dice.fill,
        wallMs: this.wallMs,
        replayWindow: 64,
        faultPoint: () => false,
        server: SERVER,
        serverKey: this.serverIdentity.publicKey,
        ticket: this.ticketFor(device, ticket),
        onReady: (parameters) => ready.push(parameters),
        ...change
      },
      station.outbox,
      { onData: this.receiver(received) }
    )
    const client = Object.assign(station, { machine, device, ready })
    this.clients.push(client)
    return client
  }

  ticketFor(device: Identity, change: Partial<TicketFields> = {}): Uint8Array {
    return encodeTicket(this.crypto, this.broker.seed, {
      ticketId: new Uint8Array(16).fill(0x71),
      issuedMs: WALL_START_MS,
      expiresMs: WALL_START_MS + 300_000,
      devicePublicKey: device.publicKey,
      serverPublicKey: this.serverIdentity.publicKey,
      user: "ada",
      tenant: "lovelace",
      rights: RIGHT.tunnel,
      ...change
    })
  }

  /** Connects a client and waits until it stands, is refused or gives up. */
  establish(client: LabClient): void {
    client.machine.connect(this.nowNs)
    this.run(this.nowNs + 11e9, () => client.machine.state !== "connecting")
  }

  /** Lets things happen until `untilNs`, or until `done` says so. */
  run(untilNs: number, done: () => boolean = () => false): void {
    const stations: ReadonlyArray<LabServer | LabClient> = [this.server, ...this.clients]
    for (let steps = 0; steps < 1_000_000; steps++) {
      for (const station of stations) this.collect(station)
      if (done()) return
      const arrival = this.arrivals[0]
      const timer = stations.reduce((a, b) => (b.machine.pollTimeout() < a.machine.pollTimeout() ? b : a))
      const timerNs = timer.machine.pollTimeout()
      const nextNs = Math.min(timerNs, arrival?.atNs ?? Number.POSITIVE_INFINITY)
      if (nextNs > untilNs) break
      this.nowNs = Math.max(this.nowNs, nextNs)
      if (arrival !== undefined && arrival.atNs <= timerNs) {
        this.arrivals.shift()
        this.deliver(arrival)
      } else {
        timer.machine.handleTimeout(this.nowNs)
      }
    }
    this.nowNs = Math.max(this.nowNs, untilNs)
  }

  /** Puts a datagram on the network as it is, whoever `from` may be. */
  inject(from: Endpoint, to: Endpoint, bytes: Uint8Array, delayNs: number = 0): void {
    this.schedule({ from, to, bytes: bytes.slice(), delayNs })
  }

  /** Hands bytes to a machine at once, bypassing the network. */
  hand(machine: ServerEndpoint | ClientEndpoint, from: Endpoint, bytes: Uint8Array): void {
    this.rx.slab.set(bytes.subarray(0, this.rx.slotBytes))
    this.rx.length[0] = Math.min(bytes.length, this.rx.slotBytes)
    parseAddress(from.address, this.rx.address, 0)
    this.rx.port[0] = from.port
    machine.handleDatagram(this.nowNs, this.rx, 0)
  }

  /** Takes what a station has written and what it has to say. */
  collect(station: LabServer | LabClient): void {
    station.outbox.flush()
    for (let event = station.machine.pollEvent(); event !== undefined; event = station.machine.pollEvent()) {
      station.events.push(event)
    }
  }

  private station(address: Endpoint, received: Array<Received>): Omit<Station, "machine"> {
    const batch = new DatagramBatch(8)
    const sealer = this.crypto.batches?.sealer(batch.slab)
    const station: Omit<Station, "machine" | "outbox"> = { address, received, events: [] }
    const send = (count: number): void => {
      if (station.socket !== undefined) return station.socket(batch, count)
      for (let i = 0; i < count; i++) this.launch(station.address, batch.peer(i), batch.view(i).slice())
    }
    const outbox = new Outbox(batch, send, sealer)
    return Object.assign(station, { outbox })
  }

  private readonly receiver =
    (received: Array<Received>) =>
    (session: number, channel: number, bytes: Uint8Array, at: number, length: number): void => {
      received.push({ atNs: this.nowNs, session, channel, bytes: bytes.slice(at, at + length) })
    }

  private launch(from: Endpoint, to: Endpoint, bytes: Uint8Array): void {
    const flight = { from, to, bytes, delayNs: ONE_WAY_NS }
    this.sent.push(flight)
    for (const arriving of this.network(flight)) this.schedule(arriving)
  }

  private schedule(flight: Flight): void {
    const arrival = { ...flight, atNs: this.nowNs + flight.delayNs, order: this.order++ }
    let at = this.arrivals.length
    while (at > 0 && this.arrivals[at - 1].atNs > arrival.atNs) at--
    this.arrivals.splice(at, 0, arrival)
  }

  private deliver(flight: Flight): void {
    const to = formatEndpoint(flight.to)
    for (const station of [this.server, ...this.clients]) {
      if (formatEndpoint(station.address) === to) this.hand(station.machine, flight.from, flight.bytes)
    }
  }
}
