/**
 * Where a program's output goes that is read only when the program has ended. A pipe wakes its reader at each line; a file wakes nobody, so
 * whoever measures does not measure its own reading. The file has no name from the start: it is gone however this process ends.
 */

import { randomUUID } from "node:crypto"
import { closeSync, fstatSync, openSync, readSync, unlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export class OutputFile {
  /** To be a program's standard output. */
  readonly descriptor: number

  constructor() {
    const path = join(tmpdir(), `horizon-output-${randomUUID()}`)
    this.descriptor = openSync(path, "wx+", 0o600)
    unlinkSync(path)
  }

  get bytes(): number {
    return fstatSync(this.descriptor).size
  }

  /** What is in it, from its beginning, as much as `bytesMax`. */
  read(bytesMax: number): string {
    const content = Buffer.alloc(Math.min(this.bytes, bytesMax))
    let length = 0
    // The program shares the position in the file, so every read says its own.
    for (let got = 1; got > 0 && length < content.length; length += got)
      got = readSync(this.descriptor, content, length, content.length - length, length)
    return content.toString("utf8", 0, length)
  }

  close(): void {
    closeSync(this.descriptor)
  }
}
