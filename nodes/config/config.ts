/**
 * A node's configuration from its layers: defaults < file < environment < flags. Every value remembers where it came from, so
 * that an error names the place to correct and `--print-config` shows why a node does what it does.
 */

import type { ConfigOf, Setting, Settings } from "@horizon/core/port/config.ts"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { didYouMean } from "./nearest.ts"

/** Where a value was found. */
export type Origin =
  | { readonly kind: "default" }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "environment"; readonly variable: string }
  | { readonly kind: "flag"; readonly flag: string }

export interface Sources {
  /** `broker`, `gateway`, …: the middle of the environment variables' names. */
  readonly node: string
  /** The configuration file's text, if one was given. */
  readonly file: { readonly path: string; readonly text: string } | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Values of flags by setting key. */
  readonly flags: Readonly<Record<string, string>>
}

export interface Loaded<S extends Settings> {
  readonly config: ConfigOf<S>
  readonly origins: Readonly<Record<string, Origin>>
  /** Worth a word, but no reason not to start. */
  readonly warnings: ReadonlyArray<string>
}

/** The configuration, or one line for each thing that is wrong with it. */
export const loadConfig = <S extends Settings>(
  settings: S,
  sources: Sources
): Result.Result<Loaded<S>, ReadonlyArray<string>> => {
  const problems: Array<string> = []
  const file = sources.file === undefined ? {} : parseFile(settings, sources.file, problems)
  const config: Record<string, unknown> = {}
  const origins: Record<string, Origin> = {}
  for (const [key, setting] of Object.entries(settings)) {
    const found = find(key, setting, file, sources)
    if (found === undefined) {
      problems.push(
        `${key} must be given (${lowerFirst(setting.description)}): set ${flagOf(key)}, ${variableOf(sources.node, key)}, or "${key}" in the configuration file`
      )
      continue
    }
    const decoded = Schema.decodeUnknownResult(setting.schema)(found.value)
    if (Result.isFailure(decoded)) {
      const given = setting.secret ? "the (hidden) value" : show(found.raw)
      problems.push(`${key} must be ${expectedOf(setting)}, not ${given} (from ${describeOrigin(found.origin)})`)
      continue
    }
    config[key] = decoded.success
    origins[key] = found.origin
  }
  return problems.length > 0
    ? Result.fail(problems)
    : Result.succeed({ config: config as ConfigOf<S>, origins, warnings: strayVariables(settings, sources) })
}

interface Found {
  /** As a JSON file would give it. */
  readonly value: unknown
  /** As it was given. */
  readonly raw: unknown
  readonly origin: Origin
}

const find = (
  key: string,
  setting: Setting<unknown>,
  file: Readonly<Record<string, unknown>>,
  sources: Sources
): Found | undefined => {
  const flag = sources.flags[key]
  if (flag !== undefined) {
    return { value: fromText(setting, flag), raw: flag, origin: { kind: "flag", flag: flagOf(key) } }
  }
  const variable = variableOf(sources.node, key)
  const text = sources.environment[variable]
  if (text !== undefined)
    return { value: fromText(setting, text), raw: text, origin: { kind: "environment", variable } }
  if (sources.file !== undefined && Object.hasOwn(file, key)) {
    return { value: file[key], raw: file[key], origin: { kind: "file", path: sources.file.path } }
  }
  return setting.default === undefined
    ? undefined
    : { value: setting.default, raw: setting.default, origin: { kind: "default" } }
}

/** Text as the value that it stands for; text that stands for none stays text, and the schema refuses it. */
const fromText = (setting: Setting<unknown>, text: string): unknown => {
  const trimmed = text.trim()
  switch (setting.form) {
    case "text":
      return text
    case "integer":
      return /^-?[0-9]{1,16}$/.test(trimmed) ? Number(trimmed) : text
    case "boolean":
      return /^(true|yes|on|1)$/i.test(trimmed) ? true : /^(false|no|off|0)$/i.test(trimmed) ? false : text
    case "list":
      return trimmed === "" ? [] : trimmed.split(",").map((item) => item.trim())
  }
}

const parseFile = (
  settings: Settings,
  file: { readonly path: string; readonly text: string },
  problems: Array<string>
): Readonly<Record<string, unknown>> => {
  let value: unknown
  try {
    value = JSON.parse(file.text)
  } catch (cause) {
    problems.push(`${file.path} is not valid JSON: ${(cause as Error).message.split("\n")[0]}`)
    return {}
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    problems.push(`${file.path} must hold one JSON object, such as {"${Object.keys(settings)[0]}": …}`)
    return {}
  }
  const known = Object.keys(settings)
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(settings, key))
      problems.push(`${key} is no setting (from ${file.path})${didYouMean(key, known)}`)
  }
  return value as Readonly<Record<string, unknown>>
}

/**
 * Variables with the node's prefix that are near to a setting's are typing errors, most likely. They are no errors: container
 * systems put variables of their own beside ours.
 */
const strayVariables = (settings: Settings, sources: Sources): ReadonlyArray<string> => {
  const known = Object.keys(settings).map((key) => variableOf(sources.node, key))
  const prefix = variableOf(sources.node, "")
  const warnings: Array<string> = []
  for (const variable of Object.keys(sources.environment)) {
    if (!variable.startsWith(prefix) || known.includes(variable)) continue
    const suggestion = didYouMean(
      variable.slice(prefix.length),
      known.map((name) => name.slice(prefix.length))
    )
    if (suggestion !== "")
      warnings.push(`${variable} is set, but is no setting${suggestion.replace("mean ", `mean ${prefix}`)}`)
  }
  return warnings
}

/** What a setting takes, to complete "must be …". */
export const expectedOf = (setting: Setting<unknown>): string => {
  const ast = setting.schema.ast as CheckedAst
  const said = lastExpected(ast)
  if (said !== undefined) return said
  const element = ast.rest?.[0] === undefined ? undefined : lastExpected(ast.rest[0])
  return element === undefined ? EXPECTED[setting.form] : `a list, each element ${element}`
}

/** As much of a schema as says what was expected; `rest` holds the elements of a list. */
interface CheckedAst {
  readonly checks?: ReadonlyArray<{ readonly annotations?: Readonly<Record<string, unknown>> }>
  readonly rest?: ReadonlyArray<CheckedAst>
}

const lastExpected = (ast: CheckedAst): string | undefined => {
  const said = ast.checks?.at(-1)?.annotations?.["expected"]
  return typeof said === "string" ? said : undefined
}

const EXPECTED = { text: "text", integer: "an integer", boolean: "true or false", list: "a list of texts" } as const

/** `--kebab-case` of a key. */
export const flagOf = (key: string): string => `--${kebab(key)}`

/** The key without its humps: `httpPort` is `http-port`. */
export const kebab = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/** `HORIZON_<NODE>_<UPPER_SNAKE>` of a key. */
export const variableOf = (node: string, key: string): string =>
  `HORIZON_${node.toUpperCase()}_${kebab(key).replaceAll("-", "_").toUpperCase()}`

export const describeOrigin = (origin: Origin): string => {
  switch (origin.kind) {
    case "default":
      return "default"
    case "file":
      return origin.path
    case "environment":
      return origin.variable
    case "flag":
      return origin.flag
  }
}

/** The effective configuration as aligned lines: key, value, where it came from. Secrets stay hidden. */
export const printConfig = <S extends Settings>(settings: S, loaded: Loaded<S>): ReadonlyArray<string> => {
  const rows = Object.entries(settings).map(([key, setting]) => {
    const value = (loaded.config as Record<string, unknown>)[key]
    const shown = setting.secret && value !== "" ? "(hidden)" : JSON.stringify(value)
    return [key, shown, describeOrigin(loaded.origins[key])] as const
  })
  const width = (column: 0 | 1): number => Math.max(...rows.map((row) => row[column].length))
  const [keys, values] = [width(0), width(1)]
  return rows.map(([key, value, origin]) => `${key.padEnd(keys)}  ${value.padEnd(values)}  ${origin}`)
}

const show = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

const lowerFirst = (sentence: string): string =>
  sentence.replace(/^[A-Z](?![A-Z])/, (letter) => letter.toLowerCase()).replace(/\.$/, "")
