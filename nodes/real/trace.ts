/**
 * A node's trace as a stream: each typed event (core/lab/trace.ts) as one line of JSON, written to a descriptor that the process was
 * started with. A lab reads it to judge a run; anybody may record it beside the log, which has fewer fields and other times.
 *
 *     {"monotonicNs":81234567890,"node":"gateway","kind":"lease.granted","fields":{"address":"10.77.0.2",…}}
 *     {"monotonicNs":81234567901,"node":"gateway","control":"ready","info":{"endpoint":"198.51.100.3:8421",…}}
 *     {"monotonicNs":81234568000,"node":"gateway","control":"dropped","info":{"events":12}}
 *
 * Times are CLOCK_MONOTONIC, which all processes of a host share, so the streams of many nodes can be merged. The node comes first:
 * what a slow reader leaves lying beyond a bound is dropped and counted in the stream, and a reader that is gone is forgotten.
 */

import { createWriteStream, fstatSync, readdirSync, type Stats } from "node:fs"
import { Socket } from "node:net"
import type { Writable } from "node:stream"
import type { TraceFields, TraceKind } from "@horizon/core/lab/trace.ts"
import type { TraceWriter } from "@horizon/core/port/trace.ts"
import { Effect } from "effect"

/** Environment variable with the number of the descriptor. */
export const TRACE_FD_VARIABLE = "HORIZON_TRACE_FD"

/** Bytes that may wait for the reader in this process. */
const WAITING_BYTES_MAX = 1 << 20
/** How long a node that ends waits for its reader. */
const FLUSH_MS = 500
/** The first descriptors are standard input, output and error. */
const FIRST_FD = 3
const FD_MAX = 65_535

/** A few named values beside a control word. */
export type ControlInfo = Readonly<Record<string, string | number>>

/** One event of the trace. */
export interface TraceEventLine<K extends TraceKind = TraceKind> {
  readonly monotonicNs: number
  /** Who says it: the node, or one of several actors in a process. */
  readonly node: string
  readonly kind: K
  readonly fields: TraceFields[K]
}

/** What is said about the speaker or the stream itself: `ready` when it serves, `dropped` when events are missing. */
export interface TraceControlLine {
  readonly monotonicNs: number
  readonly node: string
  readonly control: string
  readonly info: ControlInfo
}

export type TraceLine = TraceEventLine | TraceControlLine

export class TraceStream {
  /** Events that were not written because the reader was slow or gone. */
  dropped = 0
  private readonly out: Writable
  private readonly name: string
  private untold = 0
  private gone = false

  /** `name` speaks where nobody else is named. */
  constructor(out: Writable, name: string) {
    this.out = out
    this.name = name
    // A reader that is gone is no reason to stop serving.
    out.on("error", () => {
      this.gone = true
    })
    out.on("drain", () => this.tellDropped())
  }

  /** Writes the events of one speaker. */
  writer(node: string = this.name): TraceWriter {
    return (kind, fields) =>
      this.line(`{"monotonicNs":${monotonicNs()},"node":${JSON.stringify(node)},"kind":"${kind}"`, "fields", fields)
  }

  /** Writes a control line. */
  control(control: string, info: ControlInfo, node: string = this.name): void {
    this.line(`{"monotonicNs":${monotonicNs()},"node":${JSON.stringify(node)},"control":"${control}"`, "info", info)
  }

  /** Waits until everything is written, or for half a second: a node does not hang on its reader. */
  readonly flush: Effect.Effect<void> = Effect.callback<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), FLUSH_MS)
    this.out.write("", () => {
      clearTimeout(timer)
      resume(Effect.void)
    })
  })

  private line(head: string, key: "fields" | "info", value: object): void {
    if (this.gone || this.out.writableLength > WAITING_BYTES_MAX) {
      this.dropped++
      this.untold++
      return
    }
    this.tellDropped()
    this.out.write(`${head},"${key}":${JSON.stringify(value)}}\n`)
  }

  private tellDropped(): void {
    const events = this.untold
    if (events === 0 || this.gone) return
    this.untold = 0
    this.control("dropped", { events })
  }
}

/** CLOCK_MONOTONIC in nanoseconds; exact as a number for the first 104 days after the host's start, to 2 ns for the next. */
export const monotonicNs = (): number => Number(process.hrtime.bigint())

/**
 * The stream that the environment asks for: `undefined` if it asks for none, a sentence if the descriptor cannot be used, which is no
 * reason not to serve.
 */
export const openTraceStream = (
  environment: Readonly<Record<string, string | undefined>>,
  name: string
): TraceStream | string | undefined => {
  const text = environment[TRACE_FD_VARIABLE]
  if (text === undefined || text === "") return undefined
  const fd = /^[0-9]{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (!(fd >= FIRST_FD && fd <= FD_MAX)) {
    return `${TRACE_FD_VARIABLE} must be an open descriptor from ${FIRST_FD} to ${FD_MAX}, not ${JSON.stringify(text)}; no trace is written`
  }
  const out = openDescriptor(fd)
  return out === undefined
    ? `${TRACE_FD_VARIABLE} is ${fd}, but the process was not started with a file, pipe or socket there; no trace is written`
    : new TraceStream(out, name)
}

/** The descriptor as a stream that does not keep the process alive; `undefined` if it is none that somebody has handed to this process. */
const openDescriptor = (fd: number): Writable | undefined => {
  const stats = statOf(fd)
  if (stats === undefined || isOwnPipe(fd, stats)) return undefined
  if (stats.isFile()) return createWriteStream("", { fd, autoClose: false })
  if (!stats.isFIFO() && !stats.isSocket()) return undefined
  try {
    return new Socket({ fd, readable: false, writable: true }).unref()
  } catch {
    // Not open for writing, or a socket of another kind.
    return undefined
  }
}

/** Node itself has pipes with both ends in this process, and writing into one of them would be the end of it. */
const isOwnPipe = (fd: number, stats: Stats): boolean =>
  stats.isFIFO() && openDescriptors().some((other) => other !== fd && isSame(statOf(other), stats))

const isSame = (a: Stats | undefined, b: Stats): boolean => a !== undefined && a.dev === b.dev && a.ino === b.ino

const openDescriptors = (): ReadonlyArray<number> => {
  try {
    return readdirSync("/proc/self/fd").map(Number)
  } catch {
    // Other systems do not tell.
    return []
  }
}

const statOf = (fd: number): Stats | undefined => {
  try {
    return fstatSync(fd)
  } catch {
    return undefined
  }
}
