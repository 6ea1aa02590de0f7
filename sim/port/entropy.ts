/**
 * The `Entropy` port on a simulated process: one stream for each label, from the run's seed. A restarted node has a new
 * incarnation in its name, so it draws other bytes than in its earlier life, as a real one would.
 */

import { Entropy, type RandomSource } from "@horizon/core/port/entropy.ts"
import { Layer } from "effect"
import type { Process } from "../kernel/process.ts"

/** Streams go on over all layers of a process: a second stream from the start would hand out the same "unpredictable" bytes. */
const sourcesOf = new WeakMap<Process, Map<string, RandomSource>>()

export const layerEntropy = (process: Process): Layer.Layer<Entropy> =>
  Layer.sync(Entropy)(() => {
    const sources = sourcesOf.get(process) ?? new Map<string, RandomSource>()
    sourcesOf.set(process, sources)
    return {
      source: (label) => {
        const source = sources.get(label) ?? process.rng(`entropy/${label}`)
        sources.set(label, source)
        return source
      }
    }
  })
