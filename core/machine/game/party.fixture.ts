/**
 * A game server and its players in virtual time, joined by links that delay, jitter and lose: the machines without sessions or
 * sockets. Tests and benches of the game are run in it; whole nodes are run by the simulator.
 */

import type { Intent } from "./player.ts"
import { Player } from "./player.ts"
import { type GameEvent, GameServer, type GameServerOptions } from "./server.ts"

export interface PartyOptions {
  readonly players: number
  readonly seed: number
  /** One way, each way. */
  readonly delayNs: number
  /** Added to the delay: uniform from 0 to this, so datagrams overtake each other. */
  readonly jitterNs: number
  readonly lossPpm: number
  readonly redundancy?: number
  /** What the players do; each has its own random stream. */
  readonly steer: (player: Player, intent: Intent, random: () => number, index: number) => void
  readonly server?: Partial<GameServerOptions>
  /** Inputs a tick of player `index`; 1 if left out. */
  readonly haste?: (index: number) => number
  /** Sees each message before it is sent; false loses it. */
  readonly pass?: (atNs: number, from: "server" | "player", index: number, bytes: Uint8Array) => boolean
}

/** Settings of a small world in which everybody sees everybody. */
export const PARTY_SERVER = {
  capacity: 64,
  tickRateHz: 60,
  halfM: 500,
  spawnHalfM: 20,
  radiusM: 100,
  hysteresisM: 20,
  visibleMax: 256,
  maxSpeedMmS: 6000,
  creditMs: 500,
  snapshotEvery: 2,
  joinTimeoutMs: 5000,
  faultPoint: () => false
} as const satisfies Omit<GameServerOptions, "send">

interface Message {
  readonly atNs: number
  readonly order: number
  /** -1 = to the server. */
  readonly to: number
  readonly from: number
  readonly bytes: Uint8Array
}

export class Party {
  nowNs = 0
  readonly server: GameServer
  readonly players: Array<Player> = []
  readonly events: Array<GameEvent> = []
  /** Messages under way, a binary heap by time of arrival, then by order of sending. */
  private readonly heap: Array<Message> = []
  private order = 0
  private readonly random: () => number
  private readonly options: PartyOptions
  /** The server does not run before this time, as if its process were stopped. */
  private serverAsleepUntilNs = 0

  constructor(options: PartyOptions) {
    this.options = options
    this.random = stream(options.seed)
    this.server = new GameServer({
      ...PARTY_SERVER,
      ...options.server,
      send: (session, bytes, at, length) => this.post("server", session, session, bytes.slice(at, at + length))
    })
    this.server.start(0)
    for (let index = 0; index < options.players; index++) this.players.push(this.makePlayer(index))
  }

  /** Lets all players join now, one millisecond after the other. */
  open(): void {
    for (let index = 0; index < this.players.length; index++) {
      this.server.handleEstablished(this.nowNs, index)
      this.players[index].handleEstablished(this.nowNs)
      this.run(this.nowNs + 1_000_000)
    }
  }

  /** Runs until `untilNs`. */
  run(untilNs: number): void {
    for (;;) {
      const next = this.nextNs()
      if (next > untilNs) break
      this.nowNs = Math.max(this.nowNs, next)
      this.deliver()
      for (const player of this.players) if (player.pollTimeout() <= this.nowNs) player.handleTimeout(this.nowNs)
      if (this.serverDueNs() <= this.nowNs) this.server.handleTimeout(this.nowNs)
      for (let event = this.server.pollEvent(); event !== undefined; event = this.server.pollEvent())
        this.events.push(event)
    }
    this.nowNs = untilNs
  }

  /** Stops the server's process for a while; what arrives waits. */
  pauseServer(forNs: number): void {
    this.serverAsleepUntilNs = this.nowNs + forNs
  }

  /** A random stream of its own for a purpose. */
  stream(purpose: number): () => number {
    return stream(this.options.seed * 1_000_003 + purpose)
  }

  private makePlayer(index: number): Player {
    const random = this.stream(index + 1)
    return new Player({
      redundancy: this.options.redundancy ?? 8,
      haste: this.options.haste?.(index) ?? 1,
      steer: (player, intent) => this.options.steer(player, intent, random, index),
      send: (bytes, at, length) => {
        this.post("player", index, -1, bytes.slice(at, at + length))
        return true
      }
    })
  }

  private serverDueNs(): number {
    return Math.max(this.server.pollTimeout(), this.serverAsleepUntilNs)
  }

  private nextNs(): number {
    let next = Math.min(this.serverDueNs(), this.heap.length > 0 ? this.heap[0].atNs : Number.POSITIVE_INFINITY)
    for (const player of this.players) next = Math.min(next, player.pollTimeout())
    return next
  }

  private post(from: "server" | "player", index: number, to: number, bytes: Uint8Array): void {
    const { delayNs, jitterNs, lossPpm, pass } = this.options
    const lost = this.random() * 1_000_000 < lossPpm
    const atNs = this.nowNs + delayNs + Math.floor(this.random() * jitterNs)
    if (lost || pass?.(this.nowNs, from, index, bytes) === false) return
    this.push({ atNs, order: this.order++, to, from: index, bytes })
  }

  private deliver(): void {
    while (this.heap.length > 0 && this.heap[0].atNs <= this.nowNs) {
      const { to, from, bytes } = this.pop()
      if (to >= 0) this.players[to].handleMessage(this.nowNs, bytes, 0, bytes.length)
      else if (this.nowNs >= this.serverAsleepUntilNs)
        this.server.handleMessage(this.nowNs, from, bytes, 0, bytes.length)
      else this.push({ atNs: this.serverAsleepUntilNs, order: this.order++, to, from, bytes })
    }
  }

  private push(message: Message): void {
    const { heap } = this
    let at = heap.push(message) - 1
    while (at > 0 && before(message, heap[(at - 1) >> 1])) {
      heap[at] = heap[(at - 1) >> 1]
      at = (at - 1) >> 1
    }
    heap[at] = message
  }

  private pop(): Message {
    const { heap } = this
    const first = heap[0]
    const last = heap.pop() as Message
    if (heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++
      if (before(last, heap[child])) break
      heap[at] = heap[child]
      at = child
    }
    heap[at] = last
    return first
  }
}

const before = (a: Message, b: Message): boolean => a.atNs < b.atNs || (a.atNs === b.atNs && a.order < b.order)

/** Mulberry32: numbers from 0 to 1, the same for the same seed. */
const stream = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** Walks in one direction for a while, then in another, at changing speeds. */
export const wander = (_player: Player, intent: Intent, random: () => number): void => {
  if (random() < 0.02) intent.direction = Math.floor(random() * 256)
  if (random() < 0.02) intent.speed = Math.floor(random() * 101)
}
