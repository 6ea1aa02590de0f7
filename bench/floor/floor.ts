/**
 * The floor programs: small C programs that do the same input and output as Horizon's nodes with nothing behind it, so that our figures stand
 * beside what this host can do in the same run. They are compiled on first use, with the host's compiler, and kept in the cache under
 * the hash of their sources.
 */

import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { missingTool, run } from "../lab/command.ts"
import { LabError } from "../lab/lab-error.ts"
import { cached } from "../net/cache.ts"

/** `udp-floor` counts datagrams, `tun-floor` forwards between two TUN devices, `tunnel-floor` is one end of an encrypted tunnel. */
export type FloorName = "udp-floor" | "tun-floor" | "tunnel-floor"

const LIBRARIES: Readonly<Record<FloorName, ReadonlyArray<string>>> = {
  "udp-floor": [],
  "tun-floor": [],
  "tunnel-floor": ["-lcrypto"]
}
const FLAGS = ["-std=gnu11", "-O2"]
const COMPILE_TIMEOUT_MS = 60_000

const SOURCES = fileURLToPath(new URL(".", import.meta.url))

const built = new Map<FloorName, Promise<string>>()

/** Path of a floor program, compiled if need be; rejects with a `LabError` that says what is missing. */
export const floorProgram = (name: FloorName): Promise<string> => {
  const known = built.get(name)
  if (known !== undefined) return known
  const path = compile(name)
  built.set(name, path)
  return path
}

const compile = async (name: FloorName): Promise<string> => {
  const command = [...FLAGS, join(SOURCES, `${name}.c`), ...LIBRARIES[name]]
  const folder = await cached(join("floor", `${name}-${sourceHash(name)}`), async (half) => {
    const missing = missingTool("cc")
    if (missing !== undefined) throw new LabError("missing", `${name} cannot be compiled: ${missing}`)
    try {
      await run(["cc", ...command, "-o", join(half, name)], { timeoutMs: COMPILE_TIMEOUT_MS })
    } catch (error) {
      throw compileError(name, (error as Error).message)
    }
  })
  return join(folder, name)
}

/** What a compiler's complaint means for whoever reads it. */
export const compileError = (name: FloorName, complaint: string): LabError =>
  /openssl\/evp\.h: No such file|cannot find -lcrypto/.test(complaint)
    ? new LabError("missing", `${name} needs OpenSSL's headers and library; on Debian: apt install libssl-dev`)
    : new LabError("failed", `${name} does not compile: ${complaint}`)

/** Hash of the program, of every header that it includes from here, and of how it is compiled; 16 hex digits. */
export const sourceHash = (name: FloorName): string => {
  const hash = createHash("sha256").update([...FLAGS, ...LIBRARIES[name]].join(" "))
  const seen = new Set<string>()
  const add = (file: string): void => {
    if (seen.has(file)) return
    seen.add(file)
    const source = readFileSync(join(SOURCES, file), "utf8")
    hash.update(source)
    for (const [, header] of source.matchAll(/^#include "([^"]+)"/gm)) add(header)
  }
  add(`${name}.c`)
  return hash.digest("hex").slice(0, 16)
}
