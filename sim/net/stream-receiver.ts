/**
 * The receiving half of a byte stream, as a pure machine: puts segments in order, whatever order and however often they come, within
 * a bounded window.
 *
 * Offsets count the peer's bytes from its SYN, which has offset 0; they do not wrap.
 */

/** Bytes that wait for a gap to close or for the application, at most. */
export const RECEIVE_BYTES_MAX = 1 << 20

/** Pieces behind gaps, at most: bounds the work on segments that are all short. A full window has 750 segments. */
const PIECES_MAX = 2048

interface Piece {
  readonly offset: number
  readonly bytes: Uint8Array
}

export class StreamReceiver {
  /** Next offset that is missing: what is acknowledged. */
  next = 0
  /** Whether the peer's FIN and all before it have arrived. */
  finished = false
  private finOffset = Number.POSITIVE_INFINITY
  /** In order, not yet taken. */
  private ready: Array<Uint8Array> = []
  private readyBytes = 0
  /** Behind a gap, ascending, one piece for each offset; all within the window. */
  private readonly waiting: Array<Piece> = []

  /** How far beyond `next` the peer may send: what waits behind a gap lies inside, what waits for the application does not. */
  windowBytes(): number {
    return RECEIVE_BYTES_MAX - this.readyBytes
  }

  /** A SYN arrived: the data starts behind it. */
  handleSyn(): void {
    if (this.next === 0) this.next = 1
  }

  /** Data arrived; the bytes are copied if they are kept. What does not fit the window is thrown away and will come again. */
  handleData(offset: number, slab: Uint8Array, at: number, length: number): void {
    const skip = Math.max(0, this.next - offset)
    if (skip >= length || offset + length - this.next > this.windowBytes()) return
    const bytes = slab.slice(at + skip, at + length)
    if (offset + skip === this.next) this.accept(bytes)
    else if (this.waiting.length < PIECES_MAX) this.keep(offset, bytes)
    this.closeGaps()
  }

  /** A FIN arrived that stands at `offset`; one outside the window is a stray or a forgery. */
  handleFin(offset: number): void {
    if (offset < this.next || offset - this.next > this.windowBytes()) return
    this.finOffset = offset
    this.closeGaps()
  }

  /** Takes all bytes that are in order; `undefined` if there are none. */
  take(): ReadonlyArray<Uint8Array> | undefined {
    if (this.ready.length === 0) return undefined
    const taken = this.ready
    this.ready = []
    this.readyBytes = 0
    return taken
  }

  private accept(bytes: Uint8Array): void {
    this.ready.push(bytes)
    this.readyBytes += bytes.length
    this.next += bytes.length
  }

  private keep(offset: number, bytes: Uint8Array): void {
    let index = this.waiting.length
    while (index > 0 && this.waiting[index - 1].offset >= offset) index--
    const same = this.waiting[index]
    if (same?.offset === offset) {
      if (same.bytes.length < bytes.length) this.waiting[index] = { offset, bytes }
    } else {
      this.waiting.splice(index, 0, { offset, bytes })
    }
  }

  private closeGaps(): void {
    let used = 0
    for (const piece of this.waiting) {
      if (piece.offset > this.next) break
      used++
      const skip = this.next - piece.offset
      if (skip < piece.bytes.length) this.accept(skip === 0 ? piece.bytes : piece.bytes.subarray(skip))
    }
    this.waiting.splice(0, used)
    if (this.next === this.finOffset) {
      this.finished = true
      this.next++
    }
  }
}
