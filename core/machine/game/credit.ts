/**
 * Time credit: how the server keeps a player from living faster than the clock.
 *
 * An input claims one tick of the player's time. Two accounts are kept, because correcting and accusing ask for different evidence:
 *
 * - The purse decides what an input may do. It fills with real time (and 1 % more, for clocks that run fast) up to a limit; an
 *   input that it cannot pay for does not move the player. So nobody gains more than the limit by any timing of datagrams.
 * - The ledger decides whether the player cheats. It compares all time claimed since the player joined with all time passed since
 *   then, plus a slack. A player begins to claim only after it has been let in, so whatever the path does, a burst is only
 *   claims that were missing before: an honest player is accused only if its clock runs more than 1 % fast for long.
 */

/** How much faster than real time both accounts fill: a player's clock may run fast by so much. */
const RATE_PPM = 1_010_000

export interface CreditOptions {
  readonly players: number
  /** Limit of the purse, and slack of the ledger. */
  readonly limitNs: number
  /** What one input claims. */
  readonly inputNs: number
}

export class InputCredit {
  private readonly limitNs: number
  private readonly inputNs: number
  private readonly purseNs: Float64Array
  private readonly refilledNs: Float64Array
  private readonly openedNs: Float64Array
  private readonly claimed: Float64Array

  constructor(options: CreditOptions) {
    this.limitNs = options.limitNs
    this.inputNs = options.inputNs
    this.purseNs = new Float64Array(options.players)
    this.refilledNs = new Float64Array(options.players)
    this.openedNs = new Float64Array(options.players)
    this.claimed = new Float64Array(options.players)
  }

  /** Opens the accounts of a player that has just joined. */
  open(player: number, nowNs: number): void {
    this.purseNs[player] = this.limitNs
    this.refilledNs[player] = nowNs
    this.openedNs[player] = nowNs
    this.claimed[player] = 0
  }

  /** Enters an input as it arrives; whether the ledger is now overdrawn. */
  claim(player: number, nowNs: number): boolean {
    this.claimed[player]++
    const allowedNs = earned(nowNs - this.openedNs[player]) + this.limitNs
    return this.claimed[player] * this.inputNs > allowedNs
  }

  /** Fills the purse with the time that has passed. */
  refill(player: number, nowNs: number): void {
    const filledNs = this.purseNs[player] + earned(nowNs - this.refilledNs[player])
    this.purseNs[player] = Math.min(this.limitNs, filledNs)
    this.refilledNs[player] = nowNs
  }

  /** Pays for one input; false if the purse does not have it. */
  spend(player: number): boolean {
    if (this.purseNs[player] < this.inputNs) return false
    this.purseNs[player] -= this.inputNs
    return true
  }
}

const earned = (elapsedNs: number): number => (elapsedNs * RATE_PPM) / 1_000_000
