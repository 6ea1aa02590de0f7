/**
 * A player's machine between the session and the trace: messages in and out, and once a second what became of the inputs.
 *
 * It goes on ticking while there is no session, so that inputs that are due then count as lost (open loop). Everything here is a plain
 * call under the shell: many players on one host cost no fiber for a packet.
 */

import { Player } from "@horizon/core/machine/game/player.ts"
import { CHANNEL, type ClientEndpoint, SEND, type SessionHandler } from "@horizon/core/machine/session/session.ts"
import type { Companion, SessionShell } from "@horizon/core/port/session-shell.ts"
import type { TraceWriter } from "@horizon/core/port/trace.ts"
import { GAME_DROP, MESSAGE } from "@horizon/core/wire/game/message.ts"
import type { Pilot } from "./pilot.ts"
import { SpeedWatch } from "./speed-watch.ts"

export interface PlayerLinkOptions {
  /** Name in the trace. */
  readonly name: string
  readonly shell: SessionShell
  readonly trace: TraceWriter
  readonly pilot: Pilot
  /** Inputs in each message. */
  readonly redundancy: number
  /** Inputs for each tick that the server allows. */
  readonly haste: number
  /** World time less the time of this node's clock. */
  readonly offsetNs: number
}

const REPORT_EVERY_NS = 1_000_000_000

export class PlayerLink implements SessionHandler, Companion {
  readonly player: Player
  private readonly options: PlayerLinkOptions
  private readonly watch = new SpeedWatch()
  private endpoint: ClientEndpoint | undefined
  private reportFromNs: number
  private reportedDue = 0
  private reportedLost = 0
  /** When the last snapshot was taken over, or the session began: what proves that the server still plays. */
  heardNs = 0

  constructor(options: PlayerLinkOptions) {
    const { shell, pilot } = options
    this.options = options
    this.reportFromNs = shell.nowNs
    this.player = new Player({
      redundancy: options.redundancy,
      haste: options.haste,
      steer: (player, intent) => pilot.steer(player, intent),
      send: (bytes, at, length) => this.endpoint?.send(shell.nowNs, CHANNEL.unreliable, bytes, at, length) === SEND.ok
    })
  }

  /** A session stands: plays on it. */
  open(nowNs: number, endpoint: ClientEndpoint): void {
    this.endpoint = endpoint
    this.heardNs = nowNs
    this.watch.reset()
    this.player.handleEstablished(nowNs)
  }

  /** The session is gone. */
  close(): void {
    this.endpoint = undefined
    this.player.handleClosed()
  }

  onData(_session: number, channel: number, bytes: Uint8Array, at: number, length: number): void {
    if (channel !== CHANNEL.unreliable) return
    const { nowNs } = this.options.shell
    if (this.player.handleMessage(nowNs, bytes, at, length) !== GAME_DROP.none) return
    this.heardNs = nowNs
    if (bytes[at] === MESSAGE.snapshot) this.watchSpeed()
  }

  handleTimeout(nowNs: number): void {
    if (this.player.pollTimeout() <= nowNs) this.player.handleTimeout(nowNs)
    while (this.reportFromNs + REPORT_EVERY_NS <= nowNs) this.report()
  }

  pollTimeout(): number {
    return Math.min(this.player.pollTimeout(), this.reportFromNs + REPORT_EVERY_NS)
  }

  private watchSpeed(): void {
    const { player, watch } = this
    const { sight, welcome } = player
    if (watch.see(sight.tick, sight.ownXUm, sight.ownYUm, welcome.maxSpeedMmS, welcome.tickRateHz)) return
    const metres = (um: number): string => (um / 1_000_000).toFixed(1)
    this.options.trace("invariant.broken", {
      id: "game.speed-bounded",
      sentence:
        `the server moved ${this.options.name} by ${metres(watch.coveredUm)} m within five seconds, ` +
        `and at most ${metres(watch.allowedUm)} m are allowed`
    })
  }

  private report(): void {
    const { player } = this
    const { name, trace, offsetNs } = this.options
    const sent = player.inputsDue - this.reportedDue
    const lost = player.inputsLost - this.reportedLost
    if (sent > 0 || player.inputEffect.count > 0) {
      const { indices, counts } = player.inputEffect.sparse()
      trace("op.histogram", {
        actor: name,
        op: "game.input-effect",
        fromNs: this.reportFromNs + offsetNs,
        indices,
        counts,
        sent,
        lost
      })
    }
    player.inputEffect.reset()
    this.reportedDue = player.inputsDue
    this.reportedLost = player.inputsLost
    this.reportFromNs += REPORT_EVERY_NS
  }
}
