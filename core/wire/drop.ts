/**
 * Why a datagram was thrown away, as small integers: a hostile packet costs one counter, no exception, no allocation, no log line.
 * Machines count in a `Uint32Array` indexed by code. The numbers are stable; new ones are added at the end.
 */
export const DROP = {
  /** Not dropped. */
  none: 0,
  /** Too short for its header, tag or message. */
  short: 1,
  /** A reserved bit is set, or the channel does not exist. */
  reserved: 2,
  /** A feature that this version does not have: compression, fragment flag, rekey flag. */
  unsupported: 3,
  /** No session or handshake has this connection id. */
  unknownConnection: 4,
  /** No key for this key epoch. */
  epoch: 5,
  /** The sequence was received before. */
  replay: 6,
  /** The sequence lies behind the replay window. */
  old: 7,
  /** The tag does not fit: forged, damaged, or for another key. */
  forged: 8,
  /** A frame or handshake message that breaks the layout. */
  malformed: 9,
  /** Well formed, but nothing that is expected in this state. */
  unexpected: 10,
  /** Comes from an address that may not send this. */
  address: 11,
  /** A HELLO whose cookie does not fit or is too old; it is answered like one without a cookie. */
  cookie: 12,
  /** The table of pending handshakes is full, in total or for this address prefix. */
  flood: 13,
  /** The server does not know the broker's key yet. */
  notReady: 14,
  /** A handshake message that was handled before and needs no answer. */
  duplicate: 15,
  /** A handshake whose identity or signature does not fit. */
  identity: 16
} as const
export type DropCode = (typeof DROP)[keyof typeof DROP]

/** Names by code, for counters and reports. */
export const DROP_NAMES: ReadonlyArray<string> = Object.entries(DROP)
  .sort(([, a], [, b]) => a - b)
  .map(([name]) => name)

/** A fresh array of counters, one for each code. */
export const dropCounters = (): Uint32Array => new Uint32Array(DROP_NAMES.length)

/** The counters that are not zero, by name. */
export const namedDrops = (drops: Uint32Array): Record<string, number> => {
  const named: Record<string, number> = {}
  for (let code = 0; code < drops.length; code++) if (drops[code] > 0) named[DROP_NAMES[code]] = drops[code]
  return named
}
