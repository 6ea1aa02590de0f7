/** Files that are there whole or not at all: a reader, or a full disk, never meets half a report. */

import { rename, rm, writeFile } from "node:fs/promises"
import { basename, dirname, join } from "node:path"

export const writeWhole = async (path: string, content: string): Promise<void> => {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`)
  try {
    await writeFile(temporary, content)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
