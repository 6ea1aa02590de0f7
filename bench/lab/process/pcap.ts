/**
 * A capture as tcpdump writes it (`-w -`), read from a stream as it grows: the classic pcap file format, microseconds or nanoseconds,
 * either byte order. Frames are handed out with the IPv4 UDP datagram found in them, if there is one.
 */

/** What is wrong with a stream of bytes that should be a capture. */
export class CaptureError extends Error {
  override readonly name = "CaptureError"
}

const HEADER_BYTES = 24
const RECORD_BYTES = 16
/** Largest record: tcpdump's own snapshot length. */
const SNAPSHOT_BYTES_MAX = 262_144
const MAGIC_MICROS = 0xa1b2c3d4
const MAGIC_NANOS = 0xa1b23c4d
const LINKTYPE_ETHERNET = 1

/** A captured frame. Valid until the handler returns. */
export interface CapturedFrame {
  /** Wall clock, Unix nanoseconds as a number (exact to 256 ns in this century). */
  readonly wallNs: number
  /** The frame as far as it was captured. */
  readonly bytes: Buffer
  /** Whether all of it was captured. */
  readonly whole: boolean
}

export class PcapReader {
  private readonly onFrame: (frame: CapturedFrame) => void
  private rest: Buffer = Buffer.alloc(0)
  private littleEndian: boolean | undefined
  private fractionNs = 1

  constructor(onFrame: (frame: CapturedFrame) => void) {
    this.onFrame = onFrame
  }

  /** Takes the next bytes of the stream; throws a CaptureError if they are no capture. */
  take(chunk: Buffer): void {
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    let at = 0
    if (this.littleEndian === undefined) {
      if (bytes.length < HEADER_BYTES) {
        this.rest = bytes
        return
      }
      this.header(bytes)
      at = HEADER_BYTES
    }
    for (;;) {
      const next = this.record(bytes, at)
      if (next === at) break
      at = next
    }
    // A copy, so that a small rest does not keep a large chunk.
    this.rest = Buffer.from(bytes.subarray(at))
  }

  private header(bytes: Buffer): void {
    const magics = [bytes.readUInt32LE(0), bytes.readUInt32BE(0)]
    const which = magics.findIndex((magic) => magic === MAGIC_MICROS || magic === MAGIC_NANOS)
    if (which < 0) throw new CaptureError("the stream does not begin as a capture does")
    this.littleEndian = which === 0
    this.fractionNs = magics[which] === MAGIC_NANOS ? 1 : 1000
    const linkType = this.u32(bytes, 20) & 0x0fff_ffff
    if (linkType !== LINKTYPE_ETHERNET) throw new CaptureError(`the capture has link type ${linkType}, not Ethernet`)
  }

  /** Hands out the record at `at`; where the next one starts, or `at` if it is not all there yet. */
  private record(bytes: Buffer, at: number): number {
    if (bytes.length - at < RECORD_BYTES) return at
    const captured = this.u32(bytes, at + 8)
    if (captured > SNAPSHOT_BYTES_MAX) throw new CaptureError(`the capture has a record of ${captured} bytes`)
    const from = at + RECORD_BYTES
    if (bytes.length - from < captured) return at
    this.onFrame({
      wallNs: this.u32(bytes, at) * 1e9 + this.u32(bytes, at + 4) * this.fractionNs,
      bytes: bytes.subarray(from, from + captured),
      whole: this.u32(bytes, at + 12) === captured
    })
    return from + captured
  }

  private u32(bytes: Buffer, at: number): number {
    return this.littleEndian === true ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at)
  }
}

/** Where a UDP datagram lies in a frame, and between whom. */
export interface UdpDatagram {
  /** `a.b.c.d:port` */
  readonly source: string
  readonly destination: string
  readonly payload: Buffer
}

const ETHERTYPE_IPV4 = 0x0800
const ETHERNET_BYTES = 14
const PROTOCOL_UDP = 17
const UDP_BYTES = 8
/** More fragments follow, or this is not the first. */
const FRAGMENT_BITS = 0x3fff

/** The datagram in an Ethernet frame; `undefined` if there is none that is whole. */
export const udpInFrame = (frame: Buffer): UdpDatagram | undefined => {
  if (frame.length < ETHERNET_BYTES + 20 || frame.readUInt16BE(12) !== ETHERTYPE_IPV4) return undefined
  const ip = ETHERNET_BYTES
  const headerBytes = (frame[ip] & 15) * 4
  const udp = ip + headerBytes
  const isFragment = (frame.readUInt16BE(ip + 6) & FRAGMENT_BITS) !== 0
  if (frame[ip] >>> 4 !== 4 || frame[ip + 9] !== PROTOCOL_UDP || isFragment || frame.length < udp + UDP_BYTES)
    return undefined
  // The length of a super-packet, before the system cuts it into datagrams, may be zero or that of the first one.
  const end = ip + frame.readUInt16BE(ip + 2)
  if (end < udp + UDP_BYTES || end > frame.length) return undefined
  return {
    source: endpoint(frame, ip + 12, frame.readUInt16BE(udp)),
    destination: endpoint(frame, ip + 16, frame.readUInt16BE(udp + 2)),
    payload: frame.subarray(udp + UDP_BYTES, end)
  }
}

const endpoint = (frame: Buffer, at: number, port: number): string =>
  `${frame[at]}.${frame[at + 1]}.${frame[at + 2]}.${frame[at + 3]}:${port}`
