/** All sections of the benchmarks, in the order in which they are measured. */

import { handshakes } from "./handshakes.ts"
import { pipeline } from "./pipeline.ts"
import type { Section } from "./section.ts"
import { simulator } from "./simulator.ts"
import { soak } from "./soak.ts"
import { tunnel } from "./tunnel.ts"
import { udp } from "./udp.ts"

export const SECTIONS: ReadonlyArray<Section> = [simulator, udp, pipeline, handshakes, tunnel, soak]

/** Measured only when it is asked for: it takes as long as it is told to. */
export const ON_REQUEST: ReadonlyArray<string> = [soak.name]
