/**
 * Watches that the server moves a player no faster than its world allows, from what the server itself says in snapshots: a check
 * that does not rely on the server's own guard. A window is judged as a whole, because the server may let a player catch up.
 */

/** Length of a window. */
const WINDOW_S = 5
/** What a player may catch up, and what clocks may differ, in time at the greatest speed. */
const SLACK_S = 1

export class SpeedWatch {
  /** Windows judged, and those in which the player was too fast. */
  checked = 0
  broken = 0
  /** Of the last window that was too fast: what was covered and what was allowed. */
  coveredUm = 0
  allowedUm = 0
  private tick = -1
  private windowTick = 0
  private xUm = 0
  private yUm = 0
  private pathUm = 0

  /** Begins anew, as after a new session. */
  reset(): void {
    this.tick = -1
    this.pathUm = 0
  }

  /** Takes the player's place at a tick; false if that ended a window in which the player was too fast. */
  see(tick: number, xUm: number, yUm: number, maxSpeedMmS: number, tickRateHz: number): boolean {
    if (this.tick < 0) this.windowTick = tick
    else {
      const dx = xUm - this.xUm
      const dy = yUm - this.yUm
      this.pathUm += Math.sqrt(dx * dx + dy * dy)
    }
    this.tick = tick
    this.xUm = xUm
    this.yUm = yUm
    if (tick - this.windowTick < WINDOW_S * tickRateHz) return true
    return this.judge(tick, maxSpeedMmS, tickRateHz)
  }

  private judge(tick: number, maxSpeedMmS: number, tickRateHz: number): boolean {
    const seconds = (tick - this.windowTick) / tickRateHz
    const allowedUm = Math.ceil((seconds * 1.01 + SLACK_S) * maxSpeedMmS * 1000)
    const coveredUm = Math.floor(this.pathUm)
    this.checked++
    this.windowTick = tick
    this.pathUm = 0
    if (coveredUm <= allowedUm) return true
    this.broken++
    this.coveredUm = coveredUm
    this.allowedUm = allowedUm
    return false
  }
}
