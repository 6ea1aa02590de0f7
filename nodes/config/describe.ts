/** Settings as flags with their help: what they are, what they take, their default, their environment variable. */

import type { Setting, Settings } from "@horizon/core/port/config.ts"
import { flagOf, variableOf } from "./config.ts"

/** One setting as a flag of the command line. */
export interface SettingFlag {
  /** Without dashes. */
  readonly name: string
  readonly form: "text" | "boolean"
  readonly metavar: string
  readonly description: string
}

export const describeSetting = (node: string, settings: Settings): ReadonlyArray<SettingFlag> =>
  Object.entries(settings).map(([key, setting]) => ({
    name: flagOf(key).slice(2),
    form: setting.form === "boolean" ? "boolean" : "text",
    metavar: METAVAR[setting.form],
    description: `${setting.description.replace(/\.$/, "")} [default: ${defaultOf(setting)}] [env: ${variableOf(node, key)}]`
  }))

const METAVAR = { text: "TEXT", integer: "N", boolean: "", list: "A,B,…" } as const

const defaultOf = (setting: Setting<unknown>): string => {
  const value = setting.default
  if (value === undefined) return "none, must be given"
  if (value === "" || (Array.isArray(value) && value.length === 0)) return "none"
  if (setting.secret) return "hidden"
  return Array.isArray(value) ? value.join(",") : String(value)
}
