/** The named entries of a simulated disk: each is replaced in one step and carries a checksum, so damage is noticed. */

import { hashBytes } from "../kernel/digest.ts"

interface Entry {
  readonly bytes: Uint8Array
  readonly checksum: number
}

export class Entries {
  private readonly byName = new Map<string, Entry>()
  private readonly bytesMax: number
  private bytesUsed = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** A copy of the entry's bytes, `undefined` if there is none, or `"corrupt"` if they are not those that were written. */
  read(name: string): Uint8Array | "corrupt" | undefined {
    const entry = this.byName.get(name)
    if (entry === undefined) return undefined
    return checksum(entry.bytes) === entry.checksum ? entry.bytes.slice() : "corrupt"
  }

  /** Replaces the entry; false, with the old one in place, if there is no room. */
  write(name: string, bytes: Uint8Array): boolean {
    const after = this.bytesUsed - this.size(name) + bytes.length
    if (after > this.bytesMax) return false
    this.bytesUsed = after
    this.byName.set(name, { bytes: bytes.slice(), checksum: checksum(bytes) })
    return true
  }

  remove(name: string): void {
    this.bytesUsed -= this.size(name)
    this.byName.delete(name)
  }

  /** Names in ascending order. */
  names(): ReadonlyArray<string> {
    return [...this.byName.keys()].sort()
  }

  /** Flips one bit of what is stored (of the checksum if the entry is empty), as a bad sector would; nothing if it is absent. */
  damage(name: string): void {
    const entry = this.byName.get(name)
    if (entry === undefined) return
    const bytes = entry.bytes.slice()
    if (bytes.length > 0) bytes[bytes.length >> 1] ^= 0x10
    this.byName.set(name, { bytes, checksum: bytes.length > 0 ? entry.checksum : entry.checksum ^ 1 })
  }

  private size(name: string): number {
    return this.byName.get(name)?.bytes.length ?? 0
  }
}

const checksum = (bytes: Uint8Array): number => hashBytes(bytes, 0, bytes.length)
