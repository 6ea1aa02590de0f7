/**
 * The kernel's event heap: a 4-ary min-heap ordered by (time, sequence), as parallel typed arrays. Equal times leave in the
 * order they were entered, so the heap adds no nondeterminism of its own.
 */
export class EventHeap {
  /** Number of events waiting. */
  size = 0
  private capacity = 1024
  private time = new Float64Array(this.capacity)
  private sequence = new Float64Array(this.capacity)
  private handler = new Int32Array(this.capacity)
  private a = new Int32Array(this.capacity)
  private b = new Int32Array(this.capacity)

  /** The event taken by the last `pop`. */
  poppedTime = 0
  poppedHandler = 0
  poppedA = 0
  poppedB = 0

  /** Time of the earliest event, `Infinity` if there is none. */
  nextTime(): number {
    return this.size === 0 ? Number.POSITIVE_INFINITY : this.time[0]
  }

  push(time: number, sequence: number, handler: number, a: number, b: number): void {
    if (this.size === this.capacity) this.grow()
    let at = this.size++
    while (at > 0) {
      const parent = (at - 1) >> 2
      const parentTime = this.time[parent]
      if (parentTime < time || (parentTime === time && this.sequence[parent] < sequence)) break
      this.move(parent, at)
      at = parent
    }
    this.put(at, time, sequence, handler, a, b)
  }

  /** Takes the earliest event into the `popped…` fields; false if there is none. */
  pop(): boolean {
    if (this.size === 0) return false
    this.poppedTime = this.time[0]
    this.poppedHandler = this.handler[0]
    this.poppedA = this.a[0]
    this.poppedB = this.b[0]
    const last = --this.size
    if (last > 0) this.sink(this.time[last], this.sequence[last], this.handler[last], this.a[last], this.b[last])
    return true
  }

  private sink(time: number, sequence: number, handler: number, a: number, b: number): void {
    const { size } = this
    let at = 0
    for (;;) {
      const first = at * 4 + 1
      if (first >= size) break
      let child = first
      const end = Math.min(first + 4, size)
      for (let other = first + 1; other < end; other++) {
        if (
          this.time[other] < this.time[child] ||
          (this.time[other] === this.time[child] && this.sequence[other] < this.sequence[child])
        )
          child = other
      }
      if (time < this.time[child] || (time === this.time[child] && sequence < this.sequence[child])) break
      this.move(child, at)
      at = child
    }
    this.put(at, time, sequence, handler, a, b)
  }

  private put(at: number, time: number, sequence: number, handler: number, a: number, b: number): void {
    this.time[at] = time
    this.sequence[at] = sequence
    this.handler[at] = handler
    this.a[at] = a
    this.b[at] = b
  }

  private move(from: number, to: number): void {
    this.time[to] = this.time[from]
    this.sequence[to] = this.sequence[from]
    this.handler[to] = this.handler[from]
    this.a[to] = this.a[from]
    this.b[to] = this.b[from]
  }

  private grow(): void {
    this.capacity *= 2
    const longer = <A extends Float64Array | Int32Array>(array: A, next: A): A => {
      next.set(array)
      return next
    }
    this.time = longer(this.time, new Float64Array(this.capacity))
    this.sequence = longer(this.sequence, new Float64Array(this.capacity))
    this.handler = longer(this.handler, new Int32Array(this.capacity))
    this.a = longer(this.a, new Int32Array(this.capacity))
    this.b = longer(this.b, new Int32Array(this.capacity))
  }
}
