/**
 * One deadline for each slot, in an indexed binary heap: the earliest is known at once, and setting, moving or clearing one costs
 * log n. All arrays are made once.
 *
 * A session's deadline is not moved for each packet: it may come too early, and then the session says when it really wants to be woken.
 */

export class Deadlines {
  private readonly heap: Int32Array
  private readonly position: Int32Array
  private readonly atNs: Float64Array
  private count = 0

  /** For slots 0 to `slots - 1`. */
  constructor(slots: number) {
    this.heap = new Int32Array(slots)
    this.position = new Int32Array(slots).fill(-1)
    this.atNs = new Float64Array(slots)
  }

  /** The earliest deadline; `Infinity` if there is none. */
  earliestNs(): number {
    return this.count === 0 ? Number.POSITIVE_INFINITY : this.atNs[this.heap[0]]
  }

  /** Slot of the earliest deadline; -1 if there is none. */
  earliestSlot(): number {
    return this.count === 0 ? -1 : this.heap[0]
  }

  /** Sets or moves the deadline of a slot. */
  set(slot: number, atNs: number): void {
    this.atNs[slot] = atNs
    if (this.position[slot] < 0) this.place(slot, this.count++)
    this.rise(this.position[slot])
    this.sink(this.position[slot])
  }

  /** Moves the deadline of a slot forward to `atNs` unless it is earlier already. */
  setEarlier(slot: number, atNs: number): void {
    if (this.position[slot] < 0 || atNs < this.atNs[slot]) this.set(slot, atNs)
  }

  clear(slot: number): void {
    const index = this.position[slot]
    if (index < 0) return
    this.position[slot] = -1
    const last = this.heap[--this.count]
    if (last === slot) return
    this.place(last, index)
    this.rise(index)
    this.sink(this.position[last])
  }

  private place(slot: number, index: number): void {
    this.heap[index] = slot
    this.position[slot] = index
  }

  private rise(index: number): void {
    const slot = this.heap[index]
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (this.atNs[this.heap[parent]] <= this.atNs[slot]) break
      this.place(this.heap[parent], index)
      index = parent
    }
    this.place(slot, index)
  }

  private sink(index: number): void {
    const slot = this.heap[index]
    for (;;) {
      let child = 2 * index + 1
      if (child >= this.count) break
      if (child + 1 < this.count && this.atNs[this.heap[child + 1]] < this.atNs[this.heap[child]]) child++
      if (this.atNs[slot] <= this.atNs[this.heap[child]]) break
      this.place(this.heap[child], index)
      index = child
    }
    this.place(slot, index)
  }
}
