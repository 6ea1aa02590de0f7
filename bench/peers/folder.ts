/** A private folder for the keys and settings of one tunnel, on the record of its lab. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { recordFolder } from "../lab/registry.ts"

export interface PeerFolder {
  readonly path: string
  /** Writes a file that only this user can read, and gives its path. */
  readonly write: (name: string, text: string) => string
  readonly remove: () => void
}

export const makePeerFolder = (lab: string): PeerFolder => {
  const path = mkdtempSync(join(tmpdir(), "horizon-peer-"))
  recordFolder(lab, path)
  return {
    path,
    write: (name, text) => {
      const file = join(path, name)
      writeFileSync(file, text, { mode: 0o600 })
      return file
    },
    remove: () => rmSync(path, { recursive: true, force: true })
  }
}
