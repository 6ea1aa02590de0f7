/**
 * The game's messages: application frames (type 16 and up) on channel 0 of the session. One message fills one datagram; each can be
 * lost, doubled or overtaken, and the next one repeats what still matters.
 *
 *     player                                server
 *     JOIN      (until WELCOME)    ──▶
 *                                  ◀──      WELCOME   (until the first INPUT)
 *     INPUT     60 a second        ──▶
 *                                  ◀──      SNAPSHOT  30 a second
 *
 * All integers are little-endian. A message is refused as a whole if its length does not fit its counts.
 */

/** First byte of a message. */
export const MESSAGE = { join: 16, welcome: 17, input: 18, snapshot: 19 } as const

/** Version of this set of messages, in JOIN and WELCOME. */
export const GAME_VERSION = 1

/** Longest message: a datagram of 1,200 bytes less the session's 14-byte header and 16-byte tag. */
export const MESSAGE_BYTES_MAX = 1170

/** What became of a message; indices of drop counters. A dropped message changes nothing. */
export const GAME_DROP = {
  /** Not dropped. */
  none: 0,
  /** Too short, too long, or a field out of range. */
  malformed: 1,
  /** A type that this side does not take, or not on this channel. */
  unexpectedType: 2,
  /** A version that this side does not speak. */
  unknownVersion: 3,
  /** INPUT before JOIN, SNAPSHOT before WELCOME. */
  notJoined: 4,
  /** Nothing new in it: a duplicate, or overtaken by a newer one. */
  stale: 5,
  /** Acknowledges a snapshot that was never sent. */
  acknowledgesFuture: 6,
  /** The player's queue of inputs is full. */
  queueFull: 7,
  /** No room for one more player. */
  worldFull: 8
} as const

/** Names of the drop codes, by code, for reports. */
export const GAME_DROP_NAMES: ReadonlyArray<string> = Object.keys(GAME_DROP)
