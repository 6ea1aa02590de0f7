/**
 * Network addresses as bytes and as text.
 *
 * Inside Horizon every address is 16 bytes: IPv6 as it is, IPv4 mapped (`::ffff:a.b.c.d`, RFC 4291 §2.5.5.2). In
 * packet slots it is held as four big-endian 32-bit words, so comparing or copying one allocates nothing.
 */

/** An address with a port, for configuration, events and messages; packets use words in slots instead. */
export interface Endpoint {
  /** Textual address: dotted IPv4 or RFC 5952 IPv6. */
  readonly address: string
  /** UDP or TCP port, 0 to 65535. */
  readonly port: number
}

/** Third word of an IPv4-mapped address. */
export const V4_MAPPED_WORD = 0xffff

/** Whether the address at `at` in `words` is an IPv4 address in its mapped form. */
export const isV4 = (words: Uint32Array, at: number): boolean =>
  words[at] === 0 && words[at + 1] === 0 && words[at + 2] === V4_MAPPED_WORD

/** Writes a mapped IPv4 address, given as a 32-bit number, into the four words at `at`. */
export const putV4 = (words: Uint32Array, at: number, v4: number): void => {
  words[at] = 0
  words[at + 1] = 0
  words[at + 2] = V4_MAPPED_WORD
  words[at + 3] = v4
}

/** Whether two addresses held as words are equal. */
export const sameAddress = (a: Uint32Array, atA: number, b: Uint32Array, atB: number): boolean =>
  a[atA + 3] === b[atB + 3] && a[atA + 2] === b[atB + 2] && a[atA + 1] === b[atB + 1] && a[atA] === b[atB]

/** Parses dotted IPv4 text; `undefined` for anything else (no octal, no short forms, RFC 6943 §3.1.1). */
export const parseV4 = (text: string): number | undefined => {
  const parts = text.split(".")
  if (parts.length !== 4) return undefined
  let value = 0
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part)) return undefined
    const byte = Number(part)
    if (byte > 255) return undefined
    value = value * 256 + byte
  }
  return value
}

/** Dotted text of a 32-bit IPv4 number. */
export const formatV4 = (v4: number): string => `${v4 >>> 24}.${(v4 >>> 16) & 255}.${(v4 >>> 8) & 255}.${v4 & 255}`

/** Parses IPv4 or IPv6 text into the four words at `at`; false, with the words untouched, if it is neither. */
export const parseAddress = (text: string, words: Uint32Array, at: number): boolean => {
  const v4 = parseV4(text)
  if (v4 !== undefined) {
    putV4(words, at, v4)
    return true
  }
  const groups = parseV6Groups(text)
  if (groups === undefined) return false
  for (let i = 0; i < 4; i++) words[at + i] = groups[2 * i] * 0x10000 + groups[2 * i + 1]
  return true
}

/** Text of the address at `at`: dotted for mapped IPv4, else RFC 5952 (longest zero run of two or more shortened). */
export const formatAddress = (words: Uint32Array, at: number): string => {
  if (isV4(words, at)) return formatV4(words[at + 3])
  const groups: Array<number> = []
  for (let i = 0; i < 4; i++) groups.push(words[at + i] >>> 16, words[at + i] & 0xffff)
  const { start, length } = longestZeroRun(groups)
  if (length < 2) return groups.map(hex).join(":")
  return `${groups.slice(0, start).map(hex).join(":")}::${groups
    .slice(start + length)
    .map(hex)
    .join(":")}`
}

/** `address:port`, with brackets round IPv6. */
export const formatEndpoint = (endpoint: Endpoint): string =>
  endpoint.address.includes(":") ? `[${endpoint.address}]:${endpoint.port}` : `${endpoint.address}:${endpoint.port}`

/** Parses `address:port` or `[v6]:port`; `undefined` if it is malformed. */
export const parseEndpoint = (text: string): Endpoint | undefined => {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):([0-9]{1,5})$/.exec(text)
  if (match === null) return undefined
  const address = match[1] ?? match[2]
  const port = Number(match[3])
  return port <= 65535 && parseAddress(address, new Uint32Array(4), 0) ? { address, port } : undefined
}

const hex = (group: number): string => group.toString(16)

const longestZeroRun = (groups: ReadonlyArray<number>): { start: number; length: number } => {
  let best = { start: -1, length: 0 }
  let start = 0
  while (start < groups.length) {
    let end = start
    while (end < groups.length && groups[end] === 0) end++
    if (end - start > best.length) best = { start, length: end - start }
    start = end + 1
  }
  return best
}

const parseV6Groups = (text: string): Array<number> | undefined => {
  const halves = text.split("::")
  if (halves.length > 2) return undefined
  const head = parseGroups(halves[0], halves.length === 1)
  if (head === undefined) return undefined
  if (halves.length === 1) return head.length === 8 ? head : undefined
  const tail = parseGroups(halves[1], true)
  if (tail === undefined || head.length + tail.length > 7) return undefined
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail]
}

const parseGroups = (text: string, allowV4Tail: boolean): Array<number> | undefined => {
  if (text === "") return []
  const parts = text.split(":")
  const groups: Array<number> = []
  for (let i = 0; i < parts.length; i++) {
    if (i === parts.length - 1 && allowV4Tail && parts[i].includes(".")) {
      const v4 = parseV4(parts[i])
      if (v4 === undefined) return undefined
      groups.push(v4 >>> 16, v4 & 0xffff)
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(parts[i])) return undefined
      groups.push(Number.parseInt(parts[i], 16))
    }
  }
  return groups
}
