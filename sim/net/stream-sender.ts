/**
 * The sending half of a byte stream, as a pure machine: what to send when, in the manner of TCP.
 *
 * Retransmission timer after RFC 6298 (with Karn's rule), slow start, congestion avoidance and fast retransmit after RFC 5681, recovery
 * from several losses in one window after RFC 6582, ten segments to begin with (RFC 6928). Offsets count this side's bytes from
 * its SYN, which has offset 0; the FIN stands behind the last data byte. Times are nanoseconds.
 */

import { SEGMENT_DATA_BYTES } from "./stream-segment.ts"

const MS = 1_000_000

/** Retransmission timeout before the first sample, and its bounds. */
export const RTO_NS = { initial: 1_000 * MS, min: 200 * MS, max: 8_000 * MS } as const

/** Without any answer for so long, a connection attempt, or an open connection that has something to send, is given up. */
export const GIVE_UP_NS = { connecting: 10_000 * MS, open: 15_000 * MS } as const

/** Bytes that may wait to be sent or acknowledged. */
export const SEND_BYTES_MAX = 32 << 20

const INITIAL_WINDOW_SEGMENTS = 10
const DUPLICATE_ACKS = 3
const NEVER = Number.POSITIVE_INFINITY

export class StreamSender {
  /** First offset that the peer has not acknowledged. */
  acked = 0
  /** Nothing was heard for too long. */
  gaveUp = false
  /** What the last `poll` that returned true wants sent. */
  segmentOffset = 0
  segmentLength = 0
  segmentSyn = false
  segmentFin = false
  /** When `handleTimeout` wants to be called. */
  deadlineNs = NEVER
  /** Congestion window in bytes. */
  congestionWindow = INITIAL_WINDOW_SEGMENTS * SEGMENT_DATA_BYTES
  /** Retransmission timeout now. */
  rtoNs: number = RTO_NS.initial
  /** Segments sent more than once. */
  retransmissions = 0

  private next = 0
  /** Behind the last offset that was ever sent. */
  private highest = 0
  private end = 1
  private finishing = false
  private readonly chunks: Array<Uint8Array> = []
  /** Offset of the first byte of the first chunk. */
  private chunksOffset = 1
  private segmentBytes = SEGMENT_DATA_BYTES
  private windowBytes = SEGMENT_DATA_BYTES
  private threshold = NEVER
  private duplicates = 0
  /** Fast recovery lasts until this offset is acknowledged; -1 outside. */
  private recoverOffset = -1
  private resendFirst = false
  private probing = false
  private smoothedNs = 0
  private variationNs = 0
  /** The offset whose acknowledgement gives a round-trip sample, -1 for none. */
  private timedOffset = -1
  private timedNs = 0
  private heardNs = 0

  constructor(nowNs: number) {
    this.heardNs = nowNs
  }

  /** Adds bytes, which are kept and not copied; false if the buffer is full or `finish` was called. */
  enqueue(bytes: Uint8Array): boolean {
    if (this.finishing || this.end - this.acked + bytes.length > SEND_BYTES_MAX) return false
    if (bytes.length > 0) this.chunks.push(bytes)
    this.end += bytes.length
    return true
  }

  /** No bytes follow. */
  finish(): void {
    this.finishing = true
  }

  /** Whether everything, the FIN included, was acknowledged. */
  done(): boolean {
    return this.finishing && this.acked === this.end + 1
  }

  /** The path takes IP packets of at most `mtuBytes`; `overheadBytes` of each are headers. */
  handleMtu(mtuBytes: number, overheadBytes: number): void {
    const room = mtuBytes - overheadBytes
    if (room < 64 || room >= this.segmentBytes) return
    this.segmentBytes = room
    this.rewind()
  }

  /** An acknowledgement arrived. `bare`: it came without data, so a repetition of it tells of a loss. */
  handleAck(nowNs: number, offset: number, windowBytes: number, bare: boolean): void {
    if (offset < this.acked || offset > this.highest) return
    this.heardNs = nowNs
    const windowSame = windowBytes === this.windowBytes
    this.windowBytes = windowBytes
    if (offset > this.acked) this.handleNewAck(nowNs, offset)
    else if (bare && windowSame && this.next > this.acked) this.handleDuplicateAck()
  }

  /** Does what is due. */
  handleTimeout(nowNs: number): void {
    if (nowNs < this.deadlineNs) return
    this.deadlineNs = NEVER
    if (nowNs - this.heardNs >= this.patienceNs()) {
      this.gaveUp = true
      return
    }
    if (this.next > this.acked) {
      this.threshold = Math.max((this.next - this.acked) >> 1, 2 * this.segmentBytes)
      this.congestionWindow = this.segmentBytes
      this.rewind()
    } else {
      this.probing = true
    }
    this.rtoNs = Math.min(2 * this.rtoNs, RTO_NS.max)
  }

  /** Whether there is a segment to send now; the `segment…` fields describe it. */
  poll(nowNs: number): boolean {
    if (this.resendFirst) {
      this.resendFirst = false
      return this.emit(nowNs, this.acked)
    }
    if (this.next === 0) return this.emit(nowNs, 0)
    if (this.acked === 0) return false
    const last = this.finishing ? this.end + 1 : this.end
    if (this.next >= last) return false
    if (this.probing || this.mayExtend()) {
      this.probing = false
      return this.emit(nowNs, this.next)
    }
    // The window is shut and nothing is under way that would open it: look again later.
    if (this.next === this.acked && this.deadlineNs === NEVER) {
      if (this.next === this.highest) this.heardNs = nowNs
      this.arm(nowNs)
    }
    return false
  }

  /** Copies the data of the polled segment into `target`. */
  copySegment(target: Uint8Array, at: number): void {
    let offset = this.chunksOffset
    let from = this.segmentOffset
    let left = this.segmentLength
    for (let i = 0; left > 0; offset += this.chunks[i++].length) {
      const chunk = this.chunks[i]
      if (from >= offset + chunk.length) continue
      const count = Math.min(left, offset + chunk.length - from)
      target.set(chunk.subarray(from - offset, from - offset + count), at)
      from += count
      at += count
      left -= count
    }
  }

  /** Whether a whole segment, or all that is left, fits the windows. A sliver of a segment waits (RFC 1122 §4.2.3.4). */
  private mayExtend(): boolean {
    const room = this.acked + Math.min(this.congestionWindow, this.windowBytes) - this.next
    const left = this.end - this.next
    return left <= 0 ? true : room >= Math.min(left, this.segmentBytes)
  }

  private emit(nowNs: number, offset: number): boolean {
    const syn = offset === 0
    const length = syn ? 0 : Math.max(0, Math.min(this.segmentBytes, this.end - offset))
    const fin = !syn && this.finishing && offset + length === this.end
    const after = offset + length + (syn || fin ? 1 : 0)
    this.segmentOffset = offset
    this.segmentLength = length
    this.segmentSyn = syn
    this.segmentFin = fin
    if (offset < this.highest) this.retransmissions++
    else if (this.timedOffset < 0) {
      this.timedOffset = after
      this.timedNs = nowNs
    }
    // Patience counts from when there was something to wait for.
    if (this.next === this.acked && this.deadlineNs === NEVER && offset >= this.highest) this.heardNs = nowNs
    this.next = Math.max(this.next, after)
    this.highest = Math.max(this.highest, after)
    if (this.deadlineNs === NEVER) this.arm(nowNs)
    return true
  }

  private handleNewAck(nowNs: number, offset: number): void {
    const newly = offset - this.acked
    this.acked = offset
    this.next = Math.max(this.next, offset)
    this.duplicates = 0
    this.probing = false
    if (this.timedOffset >= 0 && offset >= this.timedOffset) this.sample(nowNs - this.timedNs)
    this.dropAcked()
    this.grow(newly)
    this.deadlineNs = NEVER
    if (this.next > this.acked) this.arm(nowNs)
  }

  private grow(newly: number): void {
    const segment = this.segmentBytes
    if (this.recoverOffset >= 0) {
      if (this.acked >= this.recoverOffset) {
        this.recoverOffset = -1
        this.congestionWindow = this.threshold
      } else {
        // A partial acknowledgement: the next hole begins right here.
        this.resendFirst = true
        this.congestionWindow = Math.max(segment, this.congestionWindow - newly + segment)
      }
    } else if (this.congestionWindow < this.threshold) {
      this.congestionWindow += Math.min(newly, segment)
    } else {
      this.congestionWindow += Math.max(1, Math.floor((segment * segment) / this.congestionWindow))
    }
  }

  private handleDuplicateAck(): void {
    this.duplicates++
    if (this.recoverOffset >= 0) {
      this.congestionWindow += this.segmentBytes
    } else if (this.duplicates === DUPLICATE_ACKS) {
      this.threshold = Math.max((this.next - this.acked) >> 1, 2 * this.segmentBytes)
      this.congestionWindow = this.threshold + DUPLICATE_ACKS * this.segmentBytes
      this.recoverOffset = this.next
      this.resendFirst = true
      this.timedOffset = -1
    }
  }

  /** RFC 6298 §2. */
  private sample(roundTripNs: number): void {
    this.timedOffset = -1
    if (this.smoothedNs === 0) {
      this.smoothedNs = roundTripNs
      this.variationNs = roundTripNs / 2
    } else {
      this.variationNs = 0.75 * this.variationNs + 0.25 * Math.abs(this.smoothedNs - roundTripNs)
      this.smoothedNs = 0.875 * this.smoothedNs + 0.125 * roundTripNs
    }
    const rtoNs = Math.round(this.smoothedNs + 4 * this.variationNs)
    this.rtoNs = Math.min(RTO_NS.max, Math.max(RTO_NS.min, rtoNs))
  }

  /** Sends again from the first unacknowledged byte on. */
  private rewind(): void {
    this.next = this.acked
    this.recoverOffset = -1
    this.resendFirst = false
    this.duplicates = 0
    this.timedOffset = -1
  }

  private arm(nowNs: number): void {
    this.deadlineNs = Math.min(nowNs + this.rtoNs, Math.max(nowNs, this.heardNs + this.patienceNs()))
  }

  private patienceNs(): number {
    return this.acked === 0 ? GIVE_UP_NS.connecting : GIVE_UP_NS.open
  }

  private dropAcked(): void {
    let used = 0
    while (used < this.chunks.length && this.chunksOffset + this.chunks[used].length <= this.acked)
      this.chunksOffset += this.chunks[used++].length
    this.chunks.splice(0, used)
  }
}
