/**
 * Peers' addresses between the text of `node:dgram` and the words of packet slots, with those seen lately remembered: parsing or
 * formatting one costs more than the rest of a datagram's way through this process.
 */

import { formatAddress, isV4, parseAddress } from "@horizon/core/wire/address.ts"

/** Peers that are remembered in each direction. A power of two. */
const ADDRESSES_MAX = 4096

/** Address text to words. */
export class AddressWords {
  private readonly known = new Map<string, Uint32Array>()

  put(text: string, words: Uint32Array, at: number): boolean {
    let known = this.known.get(text)
    if (known === undefined) {
      known = new Uint32Array(4)
      const scope = text.indexOf("%")
      if (!parseAddress(scope < 0 ? text : text.slice(0, scope), known, 0)) return false
      if (this.known.size >= ADDRESSES_MAX) this.known.clear()
      this.known.set(text, known)
    }
    words[at] = known[0]
    words[at + 1] = known[1]
    words[at + 2] = known[2]
    words[at + 3] = known[3]
    return true
  }
}

/** Words to address text in a table indexed by a hash, so that a known peer costs one comparison and no allocation. */
export class AddressTexts {
  private readonly words = new Uint32Array(ADDRESSES_MAX * 4)
  private readonly texts = new Array<string | undefined>(ADDRESSES_MAX).fill(undefined)
  private readonly mapped: boolean

  /** `mapped`: IPv4 is written in its IPv6 form, for a socket of both families. */
  constructor(mapped: boolean) {
    this.mapped = mapped
  }

  get(source: Uint32Array, at: number): string {
    const { words } = this
    const a = source[at]
    const b = source[at + 1]
    const c = source[at + 2]
    const d = source[at + 3]
    const slot = (Math.imul(a ^ Math.imul(b, 31) ^ Math.imul(c, 961) ^ d, 0x9e3779b1) >>> 20) % ADDRESSES_MAX
    const entry = slot * 4
    const known = this.texts[slot]
    if (
      known !== undefined &&
      words[entry] === a &&
      words[entry + 1] === b &&
      words[entry + 2] === c &&
      words[entry + 3] === d
    )
      return known
    const text = formatAddress(source, at)
    const full = this.mapped && isV4(source, at) ? `::ffff:${text}` : text
    words[entry] = a
    words[entry + 1] = b
    words[entry + 2] = c
    words[entry + 3] = d
    this.texts[slot] = full
    return full
  }
}
