/**
 * Inputs that have arrived and wait for the next tick: one ring for each player, as parallel arrays. Only what is newer than the
 * newest in the ring is taken, so repeats and overtaken datagrams fall away here.
 */

/** Inputs that wait at most, for each player: two seconds. */
const WAITING_MAX = 128

export class InputQueues {
  /** Newest sequence that was ever taken, for each player. */
  readonly newest: Uint32Array
  /** The input that the last `take` gave. */
  takenSequence = 0
  takenDirection = 0
  takenSpeed = 0
  takenArrivalNs = 0
  private readonly waiting: Uint8Array
  private readonly first: Uint8Array
  private readonly sequence: Uint32Array
  private readonly direction: Uint8Array
  private readonly speed: Uint8Array
  private readonly arrivalNs: Float64Array

  constructor(players: number) {
    this.newest = new Uint32Array(players)
    this.waiting = new Uint8Array(players)
    this.first = new Uint8Array(players)
    this.sequence = new Uint32Array(players * WAITING_MAX)
    this.direction = new Uint8Array(players * WAITING_MAX)
    this.speed = new Uint8Array(players * WAITING_MAX)
    this.arrivalNs = new Float64Array(players * WAITING_MAX)
  }

  /** Begins for a new player. */
  reset(player: number): void {
    this.newest[player] = 0
    this.waiting[player] = 0
    this.first[player] = 0
  }

  /** Takes an input in; false if the ring is full: it is then as good as lost. The sequence is above `newest`. */
  put(player: number, sequence: number, direction: number, speed: number, arrivalNs: number): boolean {
    this.newest[player] = sequence
    if (this.waiting[player] === WAITING_MAX) return false
    const place = player * WAITING_MAX + ((this.first[player] + this.waiting[player]++) % WAITING_MAX)
    this.sequence[place] = sequence
    this.direction[place] = direction
    this.speed[place] = speed
    this.arrivalNs[place] = arrivalNs
    return true
  }

  /** Takes the oldest waiting input out into the `taken…` fields; false if there is none. */
  take(player: number): boolean {
    if (this.waiting[player] === 0) return false
    const place = player * WAITING_MAX + this.first[player]
    this.first[player] = (this.first[player] + 1) % WAITING_MAX
    this.waiting[player]--
    this.takenSequence = this.sequence[place]
    this.takenDirection = this.direction[place]
    this.takenSpeed = this.speed[place]
    this.takenArrivalNs = this.arrivalNs[place]
    return true
  }
}
