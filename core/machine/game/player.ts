/**
 * A player as a sans-IO machine: it sends an input for each of its own ticks, whatever comes back (open loop), takes snapshots over,
 * predicts its own movement and measures.
 *
 * Latency is input to effect: from the time at which an input was due to be sent (not when it could be) to the arrival of the first
 * snapshot whose state that input has moved. Inputs that are due while there is no session count as lost.
 */

import { Histogram } from "../../measure/histogram.ts"
import { INPUTS_MAX, Input, writeInput } from "../../wire/game/input.ts"
import { readWelcome, Welcome, writeJoin } from "../../wire/game/join.ts"
import { GAME_DROP, GAME_DROP_NAMES, MESSAGE, MESSAGE_BYTES_MAX } from "../../wire/game/message.ts"
import { readSnapshot, Snapshot } from "../../wire/game/snapshot.ts"
import { PlayerSight } from "./player-sight.ts"
import { Prediction } from "./prediction.ts"
import { TickSchedule } from "./schedule.ts"

/** What the player wants to do in its next tick. */
export interface Intent {
  /** 1/256 turn, counter-clockwise from +x. */
  direction: number
  /** Percent of the greatest speed. An honest player claims at most 100. */
  speed: number
}

export interface PlayerOptions {
  /** Inputs in each message, 1 to 16: the newest and those before it. */
  readonly redundancy: number
  /** Decides on the next tick by writing into `intent`; called once for each input. */
  readonly steer: (player: Player, intent: Intent) => void
  /** Hands a message to the session's unreliable channel; false if there is no session. The bytes are valid during the call. */
  readonly send: (bytes: Uint8Array, at: number, length: number) => boolean
  /** Inputs for each tick that the server allows; more than 1 is a cheat. */
  readonly haste: number
}

/** Inputs whose fate is not known are remembered for so many ticks: eight seconds. */
const TRACKED = 512
const JOIN_EVERY_NS = 250_000_000
/** Share of each new round-trip sample in the smoothed one (RFC 6298). */
const RTT_GAIN = 0.125

export class Player {
  /** `away`: no session. `joining`: JOIN was sent. `playing`: WELCOME has come. */
  phase: "away" | "joining" | "playing" = "away"
  /** What the last WELCOME said. */
  readonly welcome = new Welcome()
  /** What this player sees. */
  sight = new PlayerSight(1)
  /** Where this player believes to be. */
  prediction: Prediction | undefined
  /** Input to effect, ns. */
  readonly inputEffect = new Histogram()
  /** Messages dropped, by GAME_DROP code. */
  readonly drops = new Uint32Array(GAME_DROP_NAMES.length)
  /** Inputs that were due, whether or not they could leave. */
  inputsDue = 0
  /** Inputs that moved the player, and inputs that are known not to have. */
  inputsApplied = 0
  inputsLost = 0
  /** Inputs that this player's own host was too late for. */
  inputsSkipped = 0
  /** Snapshots taken over, and snapshots known to have been lost or overtaken. */
  snapshotsTaken = 0
  snapshotsMissed = 0
  /** Smoothed round trip of the network: latency less the server's dwell and less waiting for its tick; 0 = unknown. */
  rttNs = 0

  private readonly options: PlayerOptions
  private schedule: TickSchedule | undefined
  private joinAtNs = Number.POSITIVE_INFINITY
  private sequence = 0
  /** Inputs up to this one have had their fate decided. */
  private resolved = 0
  private readonly intendedNs = new Float64Array(TRACKED)
  private readonly sentNs = new Float64Array(TRACKED)
  private readonly input = new Input()
  private readonly intent: Intent = { direction: 0, speed: 0 }
  private readonly snapshot = new Snapshot()
  private readonly message = new Uint8Array(MESSAGE_BYTES_MAX)

  constructor(options: PlayerOptions) {
    this.options = options
  }

  /** A session is there: asks to join. */
  handleEstablished(nowNs: number): void {
    this.phase = "joining"
    this.joinAtNs = nowNs
    this.handleTimeout(nowNs)
  }

  /** The session is gone: what was under way is lost. Inputs stay due. */
  handleClosed(): void {
    this.phase = "away"
    this.joinAtNs = Number.POSITIVE_INFINITY
    this.loseUpTo(this.sequence)
  }

  /** Takes one message of the session; a GAME_DROP code, which is counted too. Never throws. */
  handleMessage(nowNs: number, bytes: Uint8Array, at: number, length: number): number {
    const code = this.take(nowNs, bytes, at, length)
    if (code !== GAME_DROP.none) this.drops[code]++
    return code
  }

  /** Sends what is due. */
  handleTimeout(nowNs: number): void {
    if (this.joinAtNs <= nowNs) {
      this.joinAtNs = nowNs + JOIN_EVERY_NS
      this.options.send(this.message, 0, writeJoin(this.message, 0))
    }
    const { schedule } = this
    if (schedule === undefined) return
    const due = schedule.due(nowNs)
    this.inputsSkipped += schedule.skipped
    for (let i = 0; i < due; i++) {
      this.playTick(nowNs, schedule.nextDeadline())
      schedule.done()
    }
  }

  /** When `handleTimeout` wants to be called next. */
  pollTimeout(): number {
    return Math.min(this.joinAtNs, this.schedule?.nextDeadline() ?? Number.POSITIVE_INFINITY)
  }

  private playTick(nowNs: number, intendedNs: number): void {
    this.inputsDue++
    if (this.phase !== "playing") {
      this.inputsLost++
      return
    }
    const { input, intent } = this
    this.options.steer(this, intent)
    this.sequence++
    for (let i = INPUTS_MAX - 1; i > 0; i--) {
      input.direction[i] = input.direction[i - 1]
      input.speed[i] = input.speed[i - 1]
    }
    input.direction[0] = intent.direction
    input.speed[0] = intent.speed
    this.prediction?.step(this.sequence, intent.direction, intent.speed)
    if (this.sequence - this.resolved > TRACKED) this.loseUpTo(this.sequence - TRACKED)
    this.intendedNs[this.sequence % TRACKED] = intendedNs
    this.sentNs[this.sequence % TRACKED] = nowNs
    this.sendInput()
  }

  private sendInput(): void {
    const { input, sight } = this
    input.sequence = this.sequence
    input.count = Math.min(this.options.redundancy, this.sequence)
    input.ackOrdinal = sight.ordinal
    input.ackMask = sight.mask
    input.viewHash = sight.hash
    this.options.send(this.message, 0, writeInput(input, this.message, 0))
  }

  private take(nowNs: number, bytes: Uint8Array, at: number, length: number): number {
    if (length < 1) return GAME_DROP.malformed
    switch (bytes[at]) {
      case MESSAGE.snapshot:
        return this.takeSnapshot(nowNs, bytes, at, length)
      case MESSAGE.welcome:
        return this.takeWelcome(nowNs, bytes, at, length)
      default:
        return GAME_DROP.unexpectedType
    }
  }

  private takeWelcome(nowNs: number, bytes: Uint8Array, at: number, length: number): number {
    if (this.phase !== "joining") return GAME_DROP.stale
    const { welcome } = this
    const code = readWelcome(welcome, bytes, at, length)
    if (code !== GAME_DROP.none) return code
    this.phase = "playing"
    this.joinAtNs = Number.POSITIVE_INFINITY
    this.sight = new PlayerSight(welcome.capacity)
    this.prediction = new Prediction(welcome)
    this.sequence = 0
    this.resolved = 0
    // After a lost session the old schedule goes on: its inputs were due all the time.
    this.schedule ??= new TickSchedule(nowNs, welcome.tickRateHz * this.options.haste)
    return GAME_DROP.none
  }

  private takeSnapshot(nowNs: number, bytes: Uint8Array, at: number, length: number): number {
    const { snapshot, sight } = this
    if (this.phase !== "playing") return GAME_DROP.notJoined
    const code = readSnapshot(snapshot, bytes, at, length)
    if (code !== GAME_DROP.none) return code
    if (snapshot.ordinal <= sight.ordinal) return GAME_DROP.stale
    if (snapshot.inputSequence > this.sequence) return GAME_DROP.malformed
    const missed = snapshot.ordinal - sight.ordinal - 1
    if (!sight.take(nowNs, this.welcome.player, snapshot)) return GAME_DROP.malformed
    this.snapshotsTaken++
    this.snapshotsMissed += missed
    this.prediction?.reconcile(snapshot.inputSequence, snapshot.xUm, snapshot.yUm, this.sequence)
    this.resolve(nowNs, snapshot.inputSequence, snapshot.inputMask)
    return GAME_DROP.none
  }

  /** Decides the fate of all inputs up to `newest` that were open: bit i of `mask` says that input `newest - i` had its effect. */
  private resolve(nowNs: number, newest: number, mask: number): void {
    if (newest <= this.resolved) return
    this.sampleRtt(nowNs, newest)
    for (let each = this.resolved + 1; each <= newest; each++) {
      const age = newest - each
      if (age < 32 && (mask >>> age) & 1) {
        this.inputsApplied++
        this.inputEffect.record(nowNs - this.intendedNs[each % TRACKED])
      } else this.inputsLost++
    }
    this.resolved = newest
  }

  private sampleRtt(nowNs: number, sequence: number): void {
    const sampleNs = Math.max(0, nowNs - this.sentNs[sequence % TRACKED] - this.snapshot.dwellUs * 1000)
    this.rttNs = this.rttNs === 0 ? sampleNs : Math.round(this.rttNs + RTT_GAIN * (sampleNs - this.rttNs))
  }

  private loseUpTo(sequence: number): void {
    this.inputsLost += Math.max(0, sequence - this.resolved)
    this.resolved = Math.max(this.resolved, sequence)
  }
}
