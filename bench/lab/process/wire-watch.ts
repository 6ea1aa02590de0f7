/**
 * Judges what really goes over the wire, from captures and not from what nodes say of themselves: that no nonce seals twice under one
 * key, and that nothing that was said inside a tunnel can be read outside.
 *
 * A nonce is connection and sequence number, a key is one direction of one session in one epoch. If two datagrams of one key have one
 * nonce, they must be the same datagram, as links may duplicate. They are told apart by their tags: of two plaintexts the tags are
 * unrelated and differ in about 64 of 128 bits, of a datagram that a link has damaged they differ in a few. A connection number
 * may come back in a later session, so an ACCEPT with another server random begins anew.
 */

import { DROP } from "@horizon/core/wire/drop.ts"
import { ACCEPT, checkAccept, KIND, kindAt, RANDOM_BYTES } from "@horizon/core/wire/handshake.ts"
import {
  checkHeader,
  connectionIdAt,
  epochAt,
  HEADER_BYTES,
  isSealed,
  readU32,
  SEALED_OVERHEAD_BYTES,
  sequenceHighAt,
  sequenceLowAt
} from "@horizon/core/wire/header.ts"
import { PLAINTEXT_MARKER } from "@horizon/scenarios/actor/tunnel-member.ts"
import { type CapturedFrame, type UdpDatagram, udpInFrame } from "./pcap.ts"

const MARKER = Buffer.from(PLAINTEXT_MARKER)
const TAG_BYTES = 16
/** Tags that differ in more bits are those of two plaintexts; a link damages a bit or two. */
const DAMAGED_BITS_MAX = 16

/** What is found on the wire. */
export interface WireFinding {
  readonly id: "nonce-reuse" | "plaintext-leak"
  readonly sentence: string
  /** When it passed: wall clock, Unix nanoseconds. */
  readonly wallNs: number
}

/** The watch over one interface. Frames are given in the order in which they passed. */
export class WireWatch {
  /** Sealed datagrams that were sent here. */
  sealed = 0
  nonceReuses = 0
  /** Frames that were searched for plaintext. */
  frames = 0
  leaks = 0
  /** Frames that could not be judged: cut by the capture, or beyond what is remembered. */
  unjudged = 0
  private readonly host: string
  private readonly address: string
  private readonly report: (finding: WireFinding) => void
  /** Server random of the latest ACCEPT, by server and connection. */
  private readonly sessions = new Map<string, string>()
  /** Servers that have said ACCEPT. */
  private readonly servers = new Set<string>()
  private readonly seen = new Map<string, SeenTags>()
  private readonly memory = { pages: 0 }

  /** `address` is that of the host's interface; `report` gets the first finding of each kind. */
  constructor(host: string, address: string, report: (finding: WireFinding) => void) {
    this.host = host
    this.address = address
    this.report = report
  }

  take(frame: CapturedFrame): void {
    if (!frame.whole) this.unjudged++
    this.frames++
    const datagram = udpInFrame(frame.bytes)
    if (frame.bytes.includes(MARKER)) this.leak(frame, datagram)
    if (datagram === undefined || !frame.whole) return
    for (const payload of datagramsIn(datagram.payload)) this.judge(frame, datagram, payload)
  }

  private leak({ wallNs }: CapturedFrame, datagram: UdpDatagram | undefined): void {
    this.leaks++
    if (this.leaks > 1) return
    const between = datagram === undefined ? "" : ` from ${datagram.source} to ${datagram.destination}`
    const sentence = `a packet${between} carries tunnel traffic in the clear at the interface of ${this.host}`
    this.report({ id: "plaintext-leak", sentence, wallNs })
  }

  private judge({ wallNs }: CapturedFrame, { destination, source }: UdpDatagram, payload: Buffer): void {
    if (checkHeader(payload, 0, payload.length) !== DROP.none) return
    if (!isSealed(payload, 0)) return this.handshake(source, payload)
    if (source.startsWith(`${this.address}:`)) this.sealed++
    const fromServer = this.servers.has(source)
    const server = fromServer ? source : destination
    const connection = `${server} ${connectionIdAt(payload, 0)}`
    const key = `${connection} ${this.sessions.get(connection) ?? ""} ${fromServer} ${epochAt(payload, 0)}`
    let tags = this.seen.get(key)
    if (tags === undefined) {
      tags = new SeenTags(this.memory)
      this.seen.set(key, tags)
    }
    const sequence = sequenceHighAt(payload, 0) * 2 ** 32 + sequenceLowAt(payload, 0)
    const differing = tags.compare(sequence, payload.subarray(payload.length - TAG_BYTES))
    if (differing === undefined) this.unjudged++
    else if (differing > DAMAGED_BITS_MAX) this.reuse(wallNs, source, connectionIdAt(payload, 0), sequence)
  }

  private reuse(wallNs: number, source: string, connectionId: number, sequence: number): void {
    this.nonceReuses++
    if (this.nonceReuses > 1) return
    const sentence = `${source} sealed two different datagrams of connection ${connectionId} with sequence number ${sequence}, seen at the interface of ${this.host}`
    this.report({ id: "nonce-reuse", sentence, wallNs })
  }

  private handshake(source: string, payload: Buffer): void {
    if (kindAt(payload, 0, payload.length) !== KIND.accept || checkAccept(payload, 0, payload.length) !== DROP.none)
      return
    const connection = `${source} ${readU32(payload, ACCEPT.connectionId)}`
    const random = payload.subarray(ACCEPT.serverRandom, ACCEPT.serverRandom + RANDOM_BYTES).toString("hex")
    this.servers.add(source)
    if (this.sessions.get(connection) === random) return
    // What was sealed in the session before is of other keys.
    const before = `${connection} ${this.sessions.get(connection) ?? ""} `
    for (const [key, tags] of this.seen) {
      if (!key.startsWith(before)) continue
      tags.forget()
      this.seen.delete(key)
    }
    this.sessions.set(connection, random)
  }
}

/**
 * The datagrams in what was captured as one: the system hands several of a connection to an interface in one piece, equally long but for
 * the last. The second one is found by its header, which is that of the first with the next sequence number.
 */
export const datagramsIn = (payload: Buffer): ReadonlyArray<Buffer> => {
  if (checkHeader(payload, 0, payload.length) !== DROP.none || !isSealed(payload, 0)) return [payload]
  const next = Buffer.alloc(8)
  next.writeBigUInt64LE(payload.readBigUInt64LE(SEQUENCE_AT) + 1n)
  for (let from = SEALED_OVERHEAD_BYTES + SEQUENCE_AT; ; ) {
    const found = payload.indexOf(next, from)
    if (found < 0 || found + 8 > payload.length) return [payload]
    const at = found - SEQUENCE_AT
    if (
      connectionIdAt(payload, at) === connectionIdAt(payload, 0) &&
      checkHeader(payload, at, payload.length - at) === DROP.none
    )
      return cut(payload, at)
    from = found + 1
  }
}

const SEQUENCE_AT = HEADER_BYTES - 8

const cut = (payload: Buffer, bytes: number): ReadonlyArray<Buffer> =>
  Array.from({ length: Math.ceil(payload.length / bytes) }, (_, index) =>
    payload.subarray(index * bytes, (index + 1) * bytes)
  )

/** Sequence numbers for which there is a tag on one page: they come nearly in order, so pages are well filled. */
const PAGE = 1024
/** Pages of one watch, 17 KiB each. */
const PAGES_MAX = 8_192

/** The tags under one key, by sequence number. */
class SeenTags {
  private readonly memory: { pages: number }
  private readonly pages = new Map<number, { readonly tags: Buffer; readonly known: Uint8Array }>()

  constructor(memory: { pages: number }) {
    this.memory = memory
  }

  /** Bits by which `tag` differs from the one seen before: 0 for the first. `undefined`: there is no room to remember more. */
  compare(sequence: number, tag: Buffer): number | undefined {
    const number = Math.floor(sequence / PAGE)
    const page = this.pages.get(number) ?? this.addPage(number)
    if (page === undefined) return undefined
    const index = sequence % PAGE
    const at = index * TAG_BYTES
    if (page.known[index] === 1) return bitsBetween(tag, page.tags, at)
    page.known[index] = 1
    tag.copy(page.tags, at)
    return 0
  }

  forget(): void {
    this.memory.pages -= this.pages.size
    this.pages.clear()
  }

  private addPage(number: number) {
    if (this.memory.pages >= PAGES_MAX) return undefined
    this.memory.pages++
    const page = { tags: Buffer.alloc(PAGE * TAG_BYTES), known: new Uint8Array(PAGE) }
    this.pages.set(number, page)
    return page
  }
}

const bitsBetween = (tag: Buffer, tags: Buffer, at: number): number => {
  let bits = 0
  for (let i = 0; i < TAG_BYTES; i++) for (let rest = tag[i] ^ tags[at + i]; rest !== 0; rest >>>= 1) bits += rest & 1
  return bits
}
