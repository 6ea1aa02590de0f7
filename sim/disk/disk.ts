/**
 * The disk of a simulated host. It belongs to the host, so it survives the processes on it: what was written durably before
 * a crash is there after it, and nothing else is.
 */

import type { StoreFault } from "@horizon/core/lab/fault.ts"
import type { SqlEngine } from "@horizon/core/port/store.ts"
import type { Kernel } from "../kernel/kernel.ts"
import type { Rng } from "../kernel/rng.ts"
import { Entries } from "./entries.ts"

export interface DiskOptions {
  readonly kernel: Kernel
  /** Host name: labels the disk's random stream and its messages. */
  readonly host: string
  /** Makes the host's empty database; called at most once, at the first use. The disk keeps it open until `close`. */
  readonly openEngine: () => SqlEngine
  /** Virtual time that each SQL statement takes, microseconds. */
  readonly statementCostUs?: number
  /** Virtual time until a written entry is durable, microseconds. */
  readonly entryWriteCostUs?: number
  /** Room for entries, bytes. */
  readonly entriesBytesMax?: number
}

/** How the store misbehaves while a fault lasts. */
export type StoreFaultMode = Pick<StoreFault, "mode" | "ppm" | "delayMs">

/** How the entries misbehave: every write fails for want of space, or every access for want of permission. */
export type EntriesFault = "full" | "permission-denied"

export class Disk {
  readonly host: string
  readonly entries: Entries
  readonly statementCostUs: number
  readonly entryWriteCostUs: number
  /** Decides which statements a store fault hits. */
  readonly faultRng: Rng
  /** Set and cleared by the fault driver. */
  storeFault: StoreFaultMode | undefined
  /** Set and cleared by the fault driver. */
  entriesFault: EntriesFault | undefined
  private readonly openEngine: () => SqlEngine
  private engine: SqlEngine | undefined

  constructor(options: DiskOptions) {
    this.host = options.host
    this.openEngine = options.openEngine
    this.statementCostUs = options.statementCostUs ?? 50
    this.entryWriteCostUs = options.entryWriteCostUs ?? 1_000
    this.entries = new Entries(options.entriesBytesMax ?? 64 << 20)
    this.faultRng = options.kernel.rng(`disk/${options.host}/store-fault`)
  }

  /** The host's database, opened at the first call. */
  database(): SqlEngine {
    this.engine ??= this.openEngine()
    return this.engine
  }

  /** What a crash of the process, or of the host, does: the transaction that was open is lost, the rest stays. */
  crash(): void {
    if (this.engine?.inTransaction()) this.engine.run("ROLLBACK", [])
  }

  /** Frees the engine at the end of the run; its data is gone. */
  close(): void {
    this.engine?.close()
    this.engine = undefined
  }
}
