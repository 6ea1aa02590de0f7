/** The `Clock` port on a simulated process: virtual monotonic time, the host's wall clock, timers that respect pause and death. */

import { Clock } from "@horizon/core/port/clock.ts"
import { Layer } from "effect"
import type { Process } from "../kernel/process.ts"

export const layerClock = (process: Process): Layer.Layer<Clock> =>
  Layer.succeed(Clock)({
    nowNs: () => process.nowNs(),
    wallMs: () => process.wall.nowMs(),
    timer: (handler) => process.timer(handler)
  })
