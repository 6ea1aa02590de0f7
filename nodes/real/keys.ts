/**
 * Port Keys on files: one file for each entry, mode 0600, in a directory that one process owns at a time.
 *
 * A file is a header (magic, format, length, SHA-256) and the entry's bytes, so damage is an error and never other bytes. A write
 * goes to a temporary file that is synced and renamed over the old one, and the directory is synced behind it: a crash
 * at any moment leaves the old entry or the new one. A lock in the directory keeps a second node from sharing an identity.
 */

import { createHash } from "node:crypto"
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises"
import { join, resolve } from "node:path"
import { KEY_BYTES_MAX, KEY_NAME, Keys, KeysError } from "@horizon/core/port/keys.ts"
import { Effect, Layer, Option, Semaphore } from "effect"
import { acquireLock } from "./lock.ts"

/** `HZK` and the format number. */
const MAGIC = Buffer.from("HZK1", "latin1")
const HEADER_BYTES = 40
const TEMPORARY = ".new-"

/** The entries in `directory`, which is made (mode 0700) if it does not exist. */
export const layerKeys = (directory: string): Layer.Layer<Keys, KeysError> =>
  Layer.effect(
    Keys,
    Effect.gen(function* () {
      const where = resolve(directory)
      yield* attempt(where, () => prepare(where))
      yield* acquireLock(join(where, ".lock")).pipe(
        Effect.mapError((error) =>
          error.reason === "held"
            ? new KeysError({
                reason: "in-use",
                message: `${where} is in use by another running node; stop it, or give this node a directory of its own`
              })
            : keysError(where, error.cause)
        )
      )
      yield* attempt(where, () => removeLeftovers(where))
      // One write at a time: two of one entry must not share a temporary file.
      const writing = yield* Semaphore.make(1)
      return {
        where,
        read: (name) =>
          named(
            name,
            attempt(join(where, name), () => read(where, name))
          ),
        write: (name, bytes) =>
          named(
            name,
            bytes.length > KEY_BYTES_MAX
              ? Effect.fail(tooLarge(name, bytes.length))
              : Effect.suspend(() => {
                  const file = encode(bytes)
                  return writing.withPermit(
                    Effect.uninterruptible(attempt(join(where, name), () => write(where, name, file)))
                  )
                })
          ),
        remove: (name) =>
          named(
            name,
            writing.withPermit(Effect.uninterruptible(attempt(join(where, name), () => remove(where, name))))
          ),
        list: attempt(where, async () => (await readdir(where)).filter((name) => KEY_NAME.test(name)).sort())
      }
    })
  )

const named = <A>(name: string, effect: Effect.Effect<A, KeysError>): Effect.Effect<A, KeysError> =>
  KEY_NAME.test(name)
    ? effect
    : Effect.fail(
        new KeysError({
          reason: "bad-name",
          message: `${JSON.stringify(name)} is not a name for an entry: use lower-case letters, digits, dots and hyphens, at most 64, a letter first`
        })
      )

const tooLarge = (name: string, length: number): KeysError =>
  new KeysError({
    reason: "too-large",
    message: `entry ${name} would have ${length} bytes; the largest entry has ${KEY_BYTES_MAX}`
  })

/** Runs file operations; whatever they throw becomes a `KeysError` that names `path`. */
const attempt = <A>(path: string, act: () => Promise<A>): Effect.Effect<A, KeysError> =>
  Effect.tryPromise({ try: act, catch: (cause) => keysError(path, cause) })

const keysError = (path: string, cause: unknown): KeysError => {
  if (cause instanceof KeysError) return cause
  const { code, message } = cause as NodeJS.ErrnoException
  switch (code) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new KeysError({
        reason: "permission-denied",
        message: `${path} may not be read or written by this user (${code}); change its owner, or give another directory`
      })
    case "ENOSPC":
    case "EDQUOT":
      return new KeysError({
        reason: "full",
        message: `${path} was not written, the disk is full (${code}); the old entry is intact`
      })
    case "EEXIST":
    case "ENOTDIR":
      return new KeysError({
        reason: "unknown",
        message: `${path} is not a directory; give the path of a directory for keys`
      })
    default:
      return new KeysError({ reason: "unknown", message: `${path}: ${message ?? String(cause)}` })
  }
}

const prepare = async (where: string): Promise<void> => {
  await mkdir(where, { recursive: true, mode: 0o700 })
  const { mode } = await stat(where)
  // Names may be seen by others, but who can write here can replace an identity.
  if ((mode & 0o022) !== 0 && (mode & 0o1000) === 0) {
    throw new KeysError({
      reason: "permission-denied",
      message: `${where} can be written by other users (mode ${(mode & 0o777).toString(8)}); run: chmod 700 ${where}`
    })
  }
}

/** A crash between creating a temporary file and renaming it leaves the file behind. */
const removeLeftovers = async (where: string): Promise<void> => {
  for (const name of await readdir(where)) if (name.startsWith(TEMPORARY)) await rm(join(where, name), { force: true })
}

const read = async (where: string, name: string): Promise<Option.Option<Uint8Array>> => {
  const path = join(where, name)
  let file: Buffer
  try {
    file = await readFile(path)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return Option.none()
    throw cause
  }
  const bytes = decode(file)
  if (bytes === undefined) {
    throw new KeysError({
      reason: "corrupt",
      message: `${path} is damaged (its checksum does not fit); restore it from a backup, or move it away to start with a new one`
    })
  }
  return Option.some(bytes)
}

const write = async (where: string, name: string, file: Uint8Array): Promise<void> => {
  const temporary = join(where, TEMPORARY + name)
  await rm(temporary, { force: true })
  try {
    await using(await open(temporary, "wx", 0o600), async (handle) => {
      await handle.writeFile(file)
      await handle.sync()
    })
    await rename(temporary, join(where, name))
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {})
    throw cause
  }
  await syncDirectory(where)
}

const remove = async (where: string, name: string): Promise<void> => {
  await rm(join(where, name), { force: true })
  await syncDirectory(where)
}

/** Makes names durable. Windows has no such thing and refuses to open a directory. */
const syncDirectory = async (where: string): Promise<void> => {
  if (process.platform === "win32") return
  await using(await open(where, "r"), (handle) => handle.sync())
}

const using = async <A>(handle: FileHandle, act: (handle: FileHandle) => Promise<A>): Promise<A> => {
  try {
    return await act(handle)
  } finally {
    await handle.close()
  }
}

const encode = (bytes: Uint8Array): Uint8Array => {
  const file = Buffer.alloc(HEADER_BYTES + bytes.length)
  MAGIC.copy(file, 0)
  file.writeUInt32LE(bytes.length, 4)
  createHash("sha256").update(bytes).digest().copy(file, 8)
  file.set(bytes, HEADER_BYTES)
  return file
}

/** The entry in a file, or `undefined` if the file is not exactly what `encode` made. */
const decode = (file: Buffer): Uint8Array | undefined => {
  if (file.length < HEADER_BYTES || !file.subarray(0, 4).equals(MAGIC)) return undefined
  if (file.readUInt32LE(4) !== file.length - HEADER_BYTES) return undefined
  const bytes = new Uint8Array(file.subarray(HEADER_BYTES))
  return createHash("sha256").update(bytes).digest().equals(file.subarray(8, HEADER_BYTES)) ? bytes : undefined
}
