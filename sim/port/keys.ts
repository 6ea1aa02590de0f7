/** The `Keys` port on a simulated disk. A write becomes durable in one step after its cost; a crash before leaves the old entry. */

import { KEY_BYTES_MAX, KEY_NAME, Keys, KeysError } from "@horizon/core/port/keys.ts"
import { Effect, Layer, Option } from "effect"
import type { Disk } from "../disk/disk.ts"

export const layerKeys = (disk: Disk): Layer.Layer<Keys> => {
  const where = `disk of ${disk.host}`
  const fail = (reason: KeysError["reason"], message: string): Effect.Effect<never, KeysError> =>
    Effect.fail(new KeysError({ reason, message }))

  /** Name and permission, which every access checks first. */
  const admit = (name: string): Effect.Effect<void, KeysError> =>
    !KEY_NAME.test(name)
      ? fail("bad-name", `"${name}" is no entry name: use lower-case letters, digits, dots and hyphens, a letter first`)
      : permitted

  const permitted = Effect.suspend(() =>
    disk.entriesFault === "permission-denied"
      ? fail("permission-denied", `the ${where} may not be accessed by this node: check its owner and mode`)
      : Effect.void
  )

  const commit = (name: string, bytes: Uint8Array): Effect.Effect<void, KeysError> =>
    Effect.suspend(() =>
      disk.entriesFault !== "full" && disk.entries.write(name, bytes)
        ? Effect.void
        : fail("full", `no room for ${name} (${bytes.length} bytes) on the ${where}: free some space`)
    )

  return Layer.succeed(Keys)({
    where,
    read: (name) =>
      Effect.flatMap(admit(name), () => {
        const bytes = disk.entries.read(name)
        return bytes === "corrupt"
          ? fail("corrupt", `entry ${name} on the ${where} is damaged: restore it from a copy or write it anew`)
          : Effect.succeed(Option.fromUndefinedOr(bytes))
      }),
    write: (name, bytes) =>
      Effect.flatMap(admit(name), () => {
        if (bytes.length > KEY_BYTES_MAX)
          return fail("too-large", `entry ${name} has ${bytes.length} bytes; at most ${KEY_BYTES_MAX} are kept`)
        // The bytes as they are now: the caller may change its array while the write is under way.
        const copy = bytes.slice()
        return Effect.sleep(disk.entryWriteCostUs / 1000).pipe(
          Effect.andThen(permitted),
          Effect.andThen(commit(name, copy))
        )
      }),
    remove: (name) =>
      Effect.andThen(
        admit(name),
        Effect.sync(() => disk.entries.remove(name))
      ),
    list: Effect.andThen(
      permitted,
      Effect.sync(() => disk.entries.names())
    )
  })
}
