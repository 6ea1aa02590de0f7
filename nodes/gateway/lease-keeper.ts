/**
 * Keeps the leases of a pool in the gateway's key store. Changes are gathered for a moment, so a burst of joins is one write; a
 * write that fails is tried again, and the gateway serves on meanwhile.
 */

import { decodeLeases, encodeLeases } from "@horizon/core/machine/tunnel/lease-record.ts"
import type { AddressPool } from "@horizon/core/machine/tunnel/pool.ts"
import type { Clock } from "@horizon/core/port/clock.ts"
import type { Keys } from "@horizon/core/port/keys.ts"
import { Effect, Latch, Option } from "effect"

/** Name of the entry. */
export const LEASES_KEY = "leases"
/** A change waits this long for company, which also takes the write out of the packet's path, ms. */
const GATHER_MS = 5
/** Least time between two writes, ms. */
const PAUSE_MS = 45
const RETRY_MS = 5_000

export class LeaseKeeper {
  /** Writes that failed. */
  failures = 0
  /** Writes changes as they come, for ever. */
  readonly run: Effect.Effect<never>
  private readonly pool: AddressPool
  private readonly keys: Keys["Service"]
  private readonly clock: Clock["Service"]
  private readonly dirty = Latch.makeUnsafe(false)

  constructor(pool: AddressPool, keys: Keys["Service"], clock: Clock["Service"]) {
    this.pool = pool
    this.keys = keys
    this.clock = clock
    this.run = this.dirty.await.pipe(
      Effect.andThen(Effect.sleep(GATHER_MS)),
      Effect.andThen(Effect.suspend(() => this.save())),
      Effect.flatMap((saved) => Effect.sleep(saved ? PAUSE_MS : RETRY_MS)),
      Effect.forever
    )
  }

  /** Says that something has changed. */
  changed(): void {
    this.dirty.openUnsafe()
  }

  /** Takes over what an earlier life wrote. A record that cannot be read is left behind with a warning: addresses may change. */
  restore(): Effect.Effect<void> {
    return this.keys.read(LEASES_KEY).pipe(
      Effect.map((found) =>
        Option.match(found, {
          onNone: () => "",
          onSome: (bytes) => {
            const leases = decodeLeases(this.pool.prefix, bytes, this.clock.nowNs())
            if (leases === undefined) return "it is not a record of this version"
            this.pool.restore(leases)
            return ""
          }
        })
      ),
      Effect.catch((error) => Effect.succeed(error.message)),
      Effect.flatMap((problem) =>
        problem === ""
          ? Effect.void
          : Effect.logWarning(
              `The leases in ${this.keys.where} cannot be read: ${problem}. Members may get other addresses than before.`
            )
      )
    )
  }

  /** Writes the leases now; whether that worked. */
  save(): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      this.dirty.closeUnsafe()
      return this.keys.write(LEASES_KEY, encodeLeases(this.pool.prefix, this.pool.leases(), this.clock.nowNs()))
    }).pipe(
      Effect.as(true),
      Effect.catch((error) => {
        this.failures++
        this.dirty.openUnsafe()
        return Effect.as(Effect.logWarning(`The leases cannot be kept: ${error.message}`), false)
      })
    )
  }
}
