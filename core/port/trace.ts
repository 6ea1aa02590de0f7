/**
 * Port: what a node tells about itself. One typed stream feeds logs, metrics, checks and reports. Rare events only: nothing
 * here is called for each packet.
 */

import { Context } from "effect"
import type { TraceFields, TraceKind } from "../lab/trace.ts"

/** Writes one event. */
export type TraceWriter = <K extends TraceKind>(kind: K, fields: TraceFields[K]) => void

export const Trace = Context.Reference<TraceWriter>("horizon/Trace", { defaultValue: () => () => {} })
