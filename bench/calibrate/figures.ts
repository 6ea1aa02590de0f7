/** What the streams of a calibration run measured, from its trace. */

import type { TraceEvent } from "@horizon/core/lab/trace.ts"
import type { StreamFigures } from "@horizon/core/measure/calibration.ts"
import type { CalibrationRow, CalibrationStream } from "@horizon/scenarios/calibration/links.ts"
import { meterOf, probeOf } from "@horizon/scenarios/calibration/plan.ts"

/** The figures of a stream; `undefined` if its probe or its meter said nothing. */
export const figuresOf = (
  events: ReadonlyArray<TraceEvent>,
  row: CalibrationRow,
  stream: CalibrationStream
): StreamFigures | undefined => {
  const sent = events.find((event) => event.kind === "link.sent" && event.node === probeOf(row, stream))
  const received = events.find((event) => event.kind === "link.received" && event.node === meterOf(row, stream))
  if (sent?.kind !== "link.sent" || received?.kind !== "link.received") return undefined
  return {
    ...received.fields,
    sent: sent.fields.sent,
    lateP99Ns: sent.fields.lateP99Ns,
    lateMaxNs: sent.fields.lateMaxNs
  }
}
