/** Programs built on this host for measurements, kept outside the repository so that they are built once. */

import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs"
import { homedir } from "node:os"
import { dirname, join } from "node:path"

/** The folder of Horizon's built things: `$XDG_CACHE_HOME/horizon`, else `~/.cache/horizon`. */
export const cacheFolder = (): string => join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "horizon")

/**
 * The folder `name` of the cache, filled by `build` if it is not there. It appears whole or not at all: it is filled under another name, so a build
 * that fails or is interrupted leaves nothing that looks complete, and two builders at once do no harm.
 */
export const cached = async (name: string, build: (folder: string) => Promise<void>): Promise<string> => {
  const folder = join(cacheFolder(), name)
  if (existsSync(folder)) return folder
  mkdirSync(dirname(folder), { recursive: true })
  const half = mkdtempSync(`${folder}-half-`)
  try {
    await build(half)
    rename(half, folder)
  } finally {
    rmSync(half, { recursive: true, force: true })
  }
  return folder
}

const rename = (from: string, to: string): void => {
  try {
    renameSync(from, to)
  } catch (error) {
    // Another builder was faster, with the same sources.
    if (!existsSync(to)) throw error
  }
}
