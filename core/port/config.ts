/**
 * What a node can be told, as data: one record of settings per node, from which the command line derives flags, environment
 * variables, configuration-file keys, generated help and error messages. Keys are camelCase here and in JSON files,
 * `--kebab-case` as flags, `HORIZON_<NODE>_<UPPER_SNAKE>` in the environment.
 */

import { Schema } from "effect"

/** One setting. */
export interface Setting<A> {
  /** Decodes and validates the value as a JSON file gives it; text from flags and the environment is parsed to that first. */
  readonly schema: Schema.Codec<A, any>
  /** How text becomes a value: as it is, as an integer, as true/false, or as a comma-separated list. */
  readonly form: "text" | "integer" | "boolean" | "list"
  /** One sentence for the generated help: what it is, its unit. */
  readonly description: string
  /** Value when nobody says anything; `undefined` = must be given. */
  readonly default: A | undefined
  /** Never printed. */
  readonly secret: boolean
}

export type Settings = Readonly<Record<string, Setting<any>>>

/** The decoded configuration that a record of settings describes. */
export type ConfigOf<S extends Settings> = { readonly [K in keyof S]: S[K] extends Setting<infer A> ? A : never }

interface About<A> {
  readonly description: string
  readonly default?: A
  readonly secret?: boolean
}

const setting = <A>(schema: Schema.Codec<A, any>, form: Setting<A>["form"], about: About<A>): Setting<A> => ({
  schema,
  form,
  description: about.description,
  default: about.default,
  secret: about.secret ?? false
})

/** Text that matches `pattern`, if given; `expected` completes the sentence "must be …". */
export const text = (
  about: About<string> & { readonly pattern?: RegExp; readonly expected?: string }
): Setting<string> =>
  setting(
    about.pattern === undefined
      ? Schema.String
      : Schema.String.check(
          Schema.isPattern(about.pattern, about.expected === undefined ? {} : { expected: about.expected })
        ),
    "text",
    about
  )

/** An integer from `minimum` to `maximum`. */
export const integer = (
  about: About<number> & { readonly minimum: number; readonly maximum: number }
): Setting<number> =>
  setting(
    Schema.Int.check(
      Schema.isBetween(
        { minimum: about.minimum, maximum: about.maximum },
        { expected: `an integer from ${about.minimum} to ${about.maximum}` }
      )
    ),
    "integer",
    about
  )

/** True or false. */
export const flag = (about: About<boolean>): Setting<boolean> => setting(Schema.Boolean, "boolean", about)

/** A list of texts. */
export const list = (about: About<ReadonlyArray<string>>): Setting<ReadonlyArray<string>> =>
  setting(Schema.Array(Schema.String), "list", about)

/** A UDP or TCP port; 0 = any free one. */
export const port = (about: About<number>): Setting<number> => integer({ ...about, minimum: 0, maximum: 65535 })

/** The configuration with every default, changed by `change`: for scenarios, tests and `horizon up`. */
export const configWith = <S extends Settings>(settings: S, change: Partial<ConfigOf<S>>): ConfigOf<S> => {
  const config: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(settings)) config[key] = value.default
  return { ...config, ...change } as ConfigOf<S>
}
