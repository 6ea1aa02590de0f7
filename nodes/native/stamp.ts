/** What the module beside it was built from, or why there is none: written by build.ts, read by it and by the loader. */

import { readFileSync, renameSync, writeFileSync } from "node:fs"

export interface Stamp {
  /** Hash of the sources. Empty = nothing was built from them. */
  readonly sources: string
  /** What the compiler says about itself. */
  readonly toolchain: string
  /** Why the last build gave no module, and what to do about it; empty if it gave one. */
  readonly failure: string
}

const NONE: Stamp = { sources: "", toolchain: "", failure: "" }

/** The stamp beside the module at `path`; an empty one if there is none or it is damaged. */
export const readStamp = (path: string): Stamp => {
  try {
    const { failure, sources, toolchain } = JSON.parse(readFileSync(stampPath(path), "utf8"))
    return [failure, sources, toolchain].every((part) => typeof part === "string")
      ? { failure, sources, toolchain }
      : NONE
  } catch {
    return NONE
  }
}

/** In one step, because two builds may end at once. */
export const writeStamp = (path: string, stamp: Partial<Stamp>): void => {
  const draft = `${stampPath(path)}.${process.pid}`
  writeFileSync(draft, `${JSON.stringify({ ...NONE, ...stamp })}\n`)
  renameSync(draft, stampPath(path))
}

const stampPath = (path: string): string => path.replace(/(\.node)?$/, ".stamp")
