/**
 * Port: small named secrets and state of a node (identity seed, personal key, cached broker answers), on disk or in a keyring.
 *
 * `write` is atomic and durable: after it returned, a crash leaves the new bytes; if it failed, the old ones. What is read is
 * what was written: a damaged entry is an error, never other bytes.
 */

import type { Effect, Option } from "effect"
import { Context, Schema } from "effect"

export class KeysError extends Schema.TaggedError<KeysError>()("KeysError", {
  reason: Schema.Literals(["corrupt", "permission-denied", "in-use", "full", "too-large", "bad-name", "unknown"]),
  /** Says what, where and what to do. */
  message: Schema.String
}) {}

/** Largest entry in bytes. */
export const KEY_BYTES_MAX = 1 << 20

/** Names are lower-case letters, digits, dots and hyphens, at most 64 bytes, starting with a letter. */
export const KEY_NAME = /^[a-z][a-z0-9.-]{0,63}$/

export class Keys extends Context.Service<
  Keys,
  {
    readonly read: (name: string) => Effect.Effect<Option.Option<Uint8Array>, KeysError>
    readonly write: (name: string, bytes: Uint8Array) => Effect.Effect<void, KeysError>
    readonly remove: (name: string) => Effect.Effect<void, KeysError>
    readonly list: Effect.Effect<ReadonlyArray<string>, KeysError>
    /** Where the entries lie, for messages to people. */
    readonly where: string
  }
>()("horizon/Keys") {}
