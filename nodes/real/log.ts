/**
 * What a node says to people and to log collectors: lines on standard error, as JSON or, on a terminal, in colours. Effect's
 * logger and the trace events share one writer, so their order is that in which things happened.
 */

import { Trace, type TraceWriter } from "@horizon/core/port/trace.ts"
import { Cause, Context, Layer, Logger, References } from "effect"

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error"

const LEVELS: ReadonlyArray<LogLevel> = ["trace", "debug", "info", "warn", "error"]

/** Longest line; what is longer is cut and says so. */
const LINE_CHARACTERS_MAX = 8_192

export interface LogOptions {
  readonly format: "json" | "pretty"
  /** Lines below it are not written. */
  readonly level: LogLevel
  /** Colours in pretty lines. */
  readonly color: boolean
  /** Which node speaks; several may share a process. */
  readonly node: string
  /** Writes one line, without its end. */
  readonly write: (line: string) => void
}

/** Effect's logs and the trace events of a node, as log lines. */
export const layerLog = (options: LogOptions): Layer.Layer<never> =>
  Layer.mergeAll(
    Logger.layer([makeLogger(options)]),
    Layer.succeed(References.MinimumLogLevel, EFFECT_LEVEL[options.level]),
    Layer.succeedContext(Context.make(Trace, traceToLog(options)))
  )

const EFFECT_LEVEL = { trace: "Trace", debug: "Debug", info: "Info", warn: "Warn", error: "Error" } as const

const makeLogger = (options: LogOptions): Logger.Logger<unknown, void> =>
  Logger.make(({ cause, date, fiber, logLevel, message }) => {
    const level = logLevel === "Fatal" ? "error" : (logLevel.toLowerCase() as LogLevel)
    const fields: Record<string, unknown> = { ...fiber.getRef(References.CurrentLogAnnotations) }
    if (cause.reasons.length > 0) fields["cause"] = Cause.pretty(cause)
    const parts = Array.isArray(message) ? message : [message]
    writeLog(options, level, parts.map(text).join(" "), fields, date.getTime())
  })

/** Writes trace events as log lines: what people want to know at `info`, the rest at `debug`. */
export const traceToLog =
  (options: LogOptions): TraceWriter =>
  (kind, fields) =>
    writeLog(options, levelOf(kind), kind, fields, Date.now())

const INFO: ReadonlySet<string> = new Set([
  "broker.server-registered",
  "broker-link.up",
  "session.established",
  "session.closed",
  "session.roamed",
  "lease.granted",
  "lease.released",
  "client.status",
  "client.server-chosen",
  "game.player-joined",
  "game.player-left",
  "game.tick-late"
])
const WARN: ReadonlySet<string> = new Set(["broker-link.down", "broker.fingerprint-changed"])

const levelOf = (kind: string): LogLevel =>
  kind === "invariant.broken" ? "error" : WARN.has(kind) ? "warn" : INFO.has(kind) ? "info" : "debug"

/** Writes one line, if its level is high enough. */
export const writeLog = (
  options: LogOptions,
  level: LogLevel,
  message: string,
  fields: Readonly<Record<string, unknown>>,
  atMs: number
): void => {
  if (LEVELS.indexOf(level) < LEVELS.indexOf(options.level)) return
  const format = options.format === "json" ? jsonLine : prettyLine
  const line = format(options, level, message, fields, atMs)
  options.write(
    line.length <= LINE_CHARACTERS_MAX
      ? line
      : format(options, level, `${message.slice(0, LINE_CHARACTERS_MAX / 2)} … (cut)`, {}, atMs)
  )
}

const jsonLine = (
  options: LogOptions,
  level: LogLevel,
  message: string,
  fields: Readonly<Record<string, unknown>>,
  atMs: number
): string =>
  JSON.stringify({ time: new Date(atMs).toISOString(), level, node: options.node, message, ...fields }, (_, value) =>
    typeof value === "bigint" ? value.toString() : value
  )

const COLOR: Readonly<Record<LogLevel, string>> = { trace: "2", debug: "2", info: "36", warn: "33", error: "31" }

const prettyLine = (
  options: LogOptions,
  level: LogLevel,
  message: string,
  fields: Readonly<Record<string, unknown>>,
  atMs: number
): string => {
  const paint = (code: string, words: string): string => (options.color ? `\u001b[${code}m${words}\u001b[0m` : words)
  const details = Object.entries(fields).map(([key, value]) => `${paint("2", `${key}=`)}${text(value)}`)
  const time = new Date(atMs).toISOString().slice(11, 23)
  return [
    paint("2", time),
    paint(COLOR[level], level.padEnd(5)),
    paint("1", options.node.padEnd(8)),
    message,
    ...details
  ].join(" ")
}

/** One value on one line: control characters of a peer must not reach a terminal. */
const text = (value: unknown): string => {
  const words = typeof value === "string" ? value : typeof value === "bigint" ? value.toString() : safeJson(value)
  return words.replace(CONTROL, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g

const safeJson = (value: unknown): string => {
  if (value instanceof Error) return value.message
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return String(value)
  }
}
