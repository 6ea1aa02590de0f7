/**
 * Frames: what lies in the body of a sealed datagram on channels 0 to 3 (channel 4 holds one packet and no frames). One after the
 * other, each a type byte and then:
 *
 *     type          fields
 *      1 ACK        largest VarInt, delay VarInt (32 µs), count VarInt, first VarInt, then `count` times gap VarInt, length VarInt
 *                   (ranges as in RFC 9000 §19.3: `first` packets before the largest; each gap skips gap+2, each length covers length+1)
 *      2 MSG        message id VarInt, length VarInt, data
 *      3 FRAGMENT   message id VarInt, index VarInt, count-1 VarInt, data to the end of the body
 *      4 PING       token u32, any value
 *      5 PONG       token u32 of the PING that it answers
 *      6 REKEY      length VarInt, data
 *      7 INTEGRITY  length VarInt, data
 *      8 BYE        reason u8 (CLOSE of core/machine/session)
 *      9 PATH       0 challenge or 1 response u8, 8 bytes; a response repeats the bytes of its challenge
 *     10 READY      length VarInt (0 to 256), parameters; ends the handshake
 *     11-15         reserved: refused
 *     16-255        the application's, to the end of the body; not on channel 3
 *
 * An empty body is allowed: it says "I am here". A malformed frame ends the reading of its datagram.
 */

import { putU32, readU32 } from "./header.ts"
import { putVarint, VarintReader } from "./varint.ts"

export const FRAME = {
  ack: 1,
  message: 2,
  fragment: 3,
  ping: 4,
  pong: 5,
  rekey: 6,
  integrity: 7,
  bye: 8,
  path: 9,
  ready: 10,
  /** The first type of the application's own. */
  application: 16
} as const

export const PATH_CHALLENGE = 0
export const PATH_RESPONSE = 1
export const PATH_DATA_BYTES = 8
/** Longest parameters in READY. */
export const PARAMETERS_BYTES_MAX = 256
/** Most ranges in one ACK. */
export const ACK_RANGES_MAX = 64
/** Most fragments of one message. */
export const FRAGMENTS_MAX = 256

/** Results of `FrameReader.next`. */
export const READ = { frame: 1, end: 0, malformed: -1 } as const

/** Walks over the frames of one body. One reader serves for ever: no allocation. */
export class FrameReader {
  /** Type of the frame that `next` found. */
  type = 0
  /** Token of PING and PONG, reason of BYE, kind of PATH, largest of ACK, message id of MSG and FRAGMENT. */
  value = 0
  /** Delay of ACK, index of FRAGMENT. */
  second = 0
  /** Number of ranges behind the first of ACK, count-1 of FRAGMENT. */
  third = 0
  /** The frame's data: bytes of MSG, FRAGMENT, REKEY, INTEGRITY, PATH, READY and application frames; the ranges of ACK. */
  dataAt = 0
  dataBytes = 0
  private slab: Uint8Array = new Uint8Array(0)
  private at = 0
  private end = 0
  private readonly varint = new VarintReader()

  /** Starts on a body of `length` bytes at `at`. */
  start(slab: Uint8Array, at: number, length: number): void {
    this.slab = slab
    this.at = at
    this.end = at + length
  }

  /** Goes to the next frame; a READ code. An application frame is given with all that follows it, its type byte included. */
  next(): number {
    if (this.at >= this.end) return READ.end
    this.type = this.slab[this.at]
    if (this.type >= FRAME.application) return this.take(this.at, this.end - this.at)
    const body = this.at + 1
    switch (this.type) {
      case FRAME.ping:
      case FRAME.pong:
        if (this.end - body < 4) return READ.malformed
        this.value = readU32(this.slab, body)
        return this.take(body, 4)
      case FRAME.bye:
        if (this.end - body < 1) return READ.malformed
        this.value = this.slab[body]
        return this.take(body, 1)
      case FRAME.path:
        if (this.end - body < 1 + PATH_DATA_BYTES || this.slab[body] > PATH_RESPONSE) return READ.malformed
        this.value = this.slab[body]
        return this.take(body + 1, PATH_DATA_BYTES)
      default:
        this.varint.start(this.slab, body, this.end)
        return this.nextWithVarints()
    }
  }

  private nextWithVarints(): number {
    switch (this.type) {
      case FRAME.ack:
        return this.nextAck()
      case FRAME.message:
        this.value = this.varint.next()
        return this.value < 0 ? READ.malformed : this.takeCounted(this.end)
      case FRAME.fragment:
        return this.nextFragment()
      case FRAME.rekey:
      case FRAME.integrity:
        return this.takeCounted(this.end)
      case FRAME.ready:
        return this.takeCounted(PARAMETERS_BYTES_MAX)
      default:
        return READ.malformed
    }
  }

  private nextAck(): number {
    this.value = this.varint.next()
    this.second = this.varint.next()
    this.third = this.varint.next()
    if (this.value < 0 || this.second < 0 || this.third < 0 || this.third > ACK_RANGES_MAX) return READ.malformed
    const rangesAt = this.varint.at
    let smallest = this.value - this.varint.next()
    if (smallest < 0 || smallest > this.value) return READ.malformed
    for (let i = 0; i < this.third; i++) {
      const gap = this.varint.next()
      const length = this.varint.next()
      smallest -= gap + 2 + length
      if (gap < 0 || length < 0 || smallest < 0) return READ.malformed
    }
    return this.take(rangesAt, this.varint.at - rangesAt)
  }

  private nextFragment(): number {
    this.value = this.varint.next()
    this.second = this.varint.next()
    this.third = this.varint.next()
    if (this.value < 0 || this.second < 0 || this.third >= FRAGMENTS_MAX || this.second > this.third)
      return READ.malformed
    return this.take(this.varint.at, this.end - this.varint.at)
  }

  private takeCounted(bytesMax: number): number {
    const length = this.varint.next()
    if (length < 0 || length > bytesMax || length > this.end - this.varint.at) return READ.malformed
    return this.take(this.varint.at, length)
  }

  private take(at: number, bytes: number): number {
    this.dataAt = at
    this.dataBytes = bytes
    this.at = at + bytes
    return READ.frame
  }
}

/** Writers return where the frame ends. */
export const putPing = (slab: Uint8Array, at: number, token: number): number => putToken(slab, at, FRAME.ping, token)
export const putPong = (slab: Uint8Array, at: number, token: number): number => putToken(slab, at, FRAME.pong, token)

export const putBye = (slab: Uint8Array, at: number, reason: number): number => {
  slab[at] = FRAME.bye
  slab[at + 1] = reason
  return at + 2
}

/** `data` is PATH_DATA_BYTES bytes at `dataAt` of `source`. */
export const putPath = (slab: Uint8Array, at: number, kind: number, source: Uint8Array, dataAt: number): number => {
  slab[at] = FRAME.path
  slab[at + 1] = kind
  for (let i = 0; i < PATH_DATA_BYTES; i++) slab[at + 2 + i] = source[dataAt + i]
  return at + 2 + PATH_DATA_BYTES
}

/** `parameters` of at most PARAMETERS_BYTES_MAX bytes. */
export const putReady = (slab: Uint8Array, at: number, parameters: Uint8Array): number => {
  slab[at] = FRAME.ready
  const data = putVarint(slab, at + 1, parameters.length)
  slab.set(parameters, data)
  return data + parameters.length
}

const putToken = (slab: Uint8Array, at: number, type: number, token: number): number => {
  slab[at] = type
  putU32(slab, at + 1, token)
  return at + 5
}
