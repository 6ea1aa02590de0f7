/**
 * The game server as a sans-IO machine: messages of sessions in, messages to sessions out, ticks at absolute deadlines.
 *
 * `handle…(nowNs, …)` in, `pollTimeout` for the one timer, `pollEvent` for what is rare. It knows sessions by the numbers that the
 * session machine gives them and nothing of datagrams, keys or sockets.
 */

import { assert } from "../../assert.ts"
import { Histogram } from "../../measure/histogram.ts"
import { Input, readInput } from "../../wire/game/input.ts"
import { readJoin, Welcome, writeWelcome } from "../../wire/game/join.ts"
import { GAME_DROP, GAME_DROP_NAMES, MESSAGE, MESSAGE_BYTES_MAX } from "../../wire/game/message.ts"
import { Replication } from "./replication.ts"
import { TickSchedule } from "./schedule.ts"
import { ACK } from "./view.ts"
import { World, type WorldOptions } from "./world.ts"

export interface GameServerOptions extends WorldOptions {
  /** Ticks between two snapshots of one player. */
  readonly snapshotEvery: number
  /** A session that has not joined by then is turned away. */
  readonly joinTimeoutMs: number
  /** Hands a message to a session's unreliable channel; the bytes are valid during the call. */
  readonly send: (session: number, bytes: Uint8Array, at: number, length: number) => void
}

/** Rare events, for the control side. */
export type GameEvent =
  | { readonly kind: "joined"; readonly session: number; readonly player: number }
  | { readonly kind: "left"; readonly session: number; readonly player: number; readonly reason: string }
  /** The caller should end the session. */
  | { readonly kind: "turned-away"; readonly session: number; readonly why: "full" | "silent" }
  /** A player claimed more speed or more time than there is; at most one each second for each player. */
  | { readonly kind: "speed-corrected"; readonly player: number; readonly tick: number; readonly overMm: number }
  /** The tick was late by more than a period. */
  | { readonly kind: "tick-late"; readonly tick: number; readonly lateNs: number; readonly skipped: number }
  /** The player says that it sees something else than it was told; at most one each second for each player. */
  | { readonly kind: "view-unequal"; readonly player: number; readonly ordinal: number }

/** Events that wait at most; beyond it they are counted and dropped. */
const EVENTS_MAX = 4096

export class GameServer {
  readonly world: World
  /** Messages dropped, by GAME_DROP code. */
  readonly drops = new Uint32Array(GAME_DROP_NAMES.length)
  /** How late each tick began, ns. */
  readonly lateness = new Histogram()
  ticks = 0
  ticksSkipped = 0
  snapshots = 0
  /** Acknowledged snapshots whose view hash was compared. */
  viewsChecked = 0
  viewsUnequal = 0
  viewsRestarted = 0
  eventsDropped = 0

  private readonly options: GameServerOptions
  private schedule: TickSchedule
  private readonly replication: Replication
  private readonly events: Array<GameEvent> = []
  private readonly playerOf = new Map<number, number>()
  private readonly sessionOf: Float64Array
  /** Sessions that have not joined, with the time by which they must. */
  private readonly undecided = new Map<number, number>()
  /** Players that have sent no INPUT yet: they get WELCOME instead of snapshots. */
  private readonly greeted: Uint8Array
  /** Tick from which on the next accusation, or complaint, of a player is an event again. */
  private readonly accuseFrom: Float64Array
  private readonly complainFrom: Float64Array
  private readonly input = new Input()
  private readonly welcome = new Welcome()
  private readonly message = new Uint8Array(MESSAGE_BYTES_MAX)

  constructor(options: GameServerOptions) {
    this.options = options
    this.world = new World(options)
    this.replication = new Replication(this.world)
    this.schedule = new TickSchedule(Number.POSITIVE_INFINITY, options.tickRateHz)
    this.sessionOf = new Float64Array(options.capacity)
    this.greeted = new Uint8Array(options.capacity)
    this.accuseFrom = new Float64Array(options.capacity)
    this.complainFrom = new Float64Array(options.capacity)
  }

  /** Starts the clock: tick 0 is due at `nowNs`. Before that sessions can come and join, but nothing moves. */
  start(nowNs: number): void {
    assert(this.ticks === 0, "a game starts once")
    this.schedule = new TickSchedule(nowNs, this.options.tickRateHz)
  }

  /** A session is there: its JOIN is awaited. */
  handleEstablished(nowNs: number, session: number): void {
    this.undecided.set(session, nowNs + this.options.joinTimeoutMs * 1_000_000)
  }

  /** A session is gone, and its player with it; `reason` goes into the event. */
  handleClosed(session: number, reason: string): void {
    this.undecided.delete(session)
    const player = this.playerOf.get(session)
    if (player === undefined) return
    this.playerOf.delete(session)
    this.world.leave(player)
    this.emit({ kind: "left", session, player, reason })
  }

  /** Takes one message that arrived on the unreliable channel; a GAME_DROP code, which is counted too. Never throws. */
  handleMessage(nowNs: number, session: number, bytes: Uint8Array, at: number, length: number): number {
    const code = this.take(nowNs, session, bytes, at, length)
    if (code !== GAME_DROP.none) this.drops[code]++
    return code
  }

  /** Runs the ticks that are due, then sends the snapshots that they owe. */
  handleTimeout(nowNs: number): void {
    const due = this.schedule.due(nowNs)
    if (due === 0) return
    const { lateNs, skipped } = this.schedule
    this.lateness.record(lateNs)
    this.ticksSkipped += skipped
    if (due + skipped > 1) this.emit({ kind: "tick-late", tick: this.schedule.next, lateNs, skipped })
    const first = this.schedule.next
    for (let i = 0; i < due; i++) {
      this.world.tick(nowNs)
      this.schedule.done()
      this.ticks++
    }
    this.report(this.schedule.next - 1)
    this.sendAll(nowNs, first, due)
    if (this.undecided.size > 0) this.turnAwaySilent(nowNs)
  }

  /** When the next tick is due. */
  pollTimeout(): number {
    return this.schedule.nextDeadline()
  }

  pollEvent(): GameEvent | undefined {
    return this.events.shift()
  }

  private take(nowNs: number, session: number, bytes: Uint8Array, at: number, length: number): number {
    if (length < 1) return GAME_DROP.malformed
    switch (bytes[at]) {
      case MESSAGE.input:
        return this.takeInput(nowNs, session, bytes, at, length)
      case MESSAGE.join:
        return this.takeJoin(nowNs, session, bytes, at, length)
      default:
        return GAME_DROP.unexpectedType
    }
  }

  private takeJoin(nowNs: number, session: number, bytes: Uint8Array, at: number, length: number): number {
    const code = readJoin(bytes, at, length)
    if (code !== GAME_DROP.none) return code
    if (this.playerOf.has(session)) return GAME_DROP.stale
    const player = this.world.join(nowNs)
    if (player < 0) {
      this.emit({ kind: "turned-away", session, why: "full" })
      return GAME_DROP.worldFull
    }
    this.undecided.delete(session)
    this.playerOf.set(session, player)
    this.sessionOf[player] = session
    this.greeted[player] = 0
    this.accuseFrom[player] = 0
    this.complainFrom[player] = 0
    this.replication.open(player)
    this.emit({ kind: "joined", session, player })
    this.sendWelcome(player)
    return GAME_DROP.none
  }

  private takeInput(nowNs: number, session: number, bytes: Uint8Array, at: number, length: number): number {
    const { input, world } = this
    const player = this.playerOf.get(session)
    if (player === undefined) return GAME_DROP.notJoined
    const code = readInput(input, bytes, at, length)
    if (code !== GAME_DROP.none) return code
    this.greeted[player] = 1
    if (input.ackOrdinal > 0) {
      const ack = this.replication.acknowledge(player, input.ackOrdinal, input.ackMask, input.viewHash)
      if (ack === ACK.future) return GAME_DROP.acknowledgesFuture
      this.countAck(player, ack, input.ackOrdinal)
    }
    const newest = world.inputs.newest[player]
    if (input.sequence <= newest) return GAME_DROP.stale
    let taken = true
    for (let i = Math.min(input.count, input.sequence - newest) - 1; i >= 0; i--) {
      taken = world.putInput(player, input.sequence - i, input.direction[i], input.speed[i], nowNs) && taken
    }
    return taken ? GAME_DROP.none : GAME_DROP.queueFull
  }

  private countAck(player: number, ack: number, ordinal: number): void {
    if (ack === ACK.restarted) this.viewsRestarted++
    if (ack !== ACK.equal && ack !== ACK.unequal) return
    this.viewsChecked++
    if (ack === ACK.equal) return
    this.viewsUnequal++
    if (this.schedule.next < this.complainFrom[player]) return
    this.complainFrom[player] = this.schedule.next + this.options.tickRateHz
    this.emit({ kind: "view-unequal", player, ordinal })
  }

  /** Accuses those whose claims went over the limits. */
  private report(tick: number): void {
    const { overUm, players } = this.world
    for (let i = 0; i < players.size; i++) {
      const player = players.dense[i]
      if (overUm[player] === 0 || tick < this.accuseFrom[player]) continue
      this.emit({ kind: "speed-corrected", player, tick, overMm: Math.ceil(overUm[player] / 1000) })
      this.accuseFrom[player] = tick + this.options.tickRateHz
      overUm[player] = 0
    }
  }

  /** Each player has its own phase, so that the work of snapshots is spread over the ticks. After a catch-up each gets one at most. */
  private sendAll(nowNs: number, firstTick: number, count: number): void {
    const { players } = this.world
    const { snapshotEvery } = this.options
    const tick = firstTick + count - 1
    for (let i = 0; i < players.size; i++) {
      const player = players.dense[i]
      if ((tick + player) % snapshotEvery >= count) continue
      if (this.greeted[player] === 0) this.sendWelcome(player)
      else this.sendSnapshot(nowNs, tick, player)
    }
  }

  private sendSnapshot(nowNs: number, tick: number, player: number): void {
    const length = this.replication.write(nowNs, tick, player, this.message, 0)
    this.snapshots++
    this.options.send(this.sessionOf[player], this.message, 0, length)
  }

  private sendWelcome(player: number): void {
    const { welcome, world, options } = this
    welcome.player = player
    welcome.capacity = options.capacity
    welcome.tick = this.schedule.next
    welcome.tickRateHz = options.tickRateHz
    welcome.snapshotEvery = options.snapshotEvery
    welcome.maxSpeedMmS = options.maxSpeedMmS
    welcome.worldHalfM = options.halfM
    welcome.radiusM = options.radiusM
    welcome.xUm = world.xUm[player]
    welcome.yUm = world.yUm[player]
    this.options.send(this.sessionOf[player], this.message, 0, writeWelcome(welcome, this.message, 0))
  }

  private turnAwaySilent(nowNs: number): void {
    for (const [session, untilNs] of this.undecided) {
      if (untilNs > nowNs) continue
      this.undecided.delete(session)
      this.emit({ kind: "turned-away", session, why: "silent" })
    }
  }

  private emit(event: GameEvent): void {
    if (this.events.length >= EVENTS_MAX) this.eventsDropped++
    else this.events.push(event)
  }
}
