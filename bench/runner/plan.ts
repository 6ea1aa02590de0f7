/** Which runs a request comes to: scenarios × seeds, cut to a shard. */

import { SCENARIOS, scenarioByName } from "@horizon/scenarios/registry.ts"
import type { Scenario } from "@horizon/scenarios/scenario.ts"
import { needsOf } from "@horizon/scenarios/scenario.ts"
import { WORLDS } from "../world/registry.ts"
import type { World } from "../world/world.ts"

export interface PlannedRun {
  readonly scenario: Scenario
  readonly world: World
  readonly seed: number
  /** Run a second time and compare digests. */
  readonly twice: boolean
}

export interface Shard {
  /** From 1. */
  readonly index: number
  readonly count: number
}

/** A name that is not known, with the names that come nearest. */
export class UnknownName extends Error {
  override readonly name = "UnknownName"
}

/** One in this many seeds of a batch runs twice, besides failures and canaries. */
const TWICE_EVERY = 20

export const planRuns = (
  names: ReadonlyArray<string>,
  all: boolean,
  worldName: string,
  seeds: ReadonlyArray<number>,
  shard?: Shard
): ReadonlyArray<PlannedRun> => {
  const world = WORLDS.find((candidate) => candidate.name === worldName)
  if (world === undefined)
    throw new UnknownName(
      unknown(
        "world",
        worldName,
        WORLDS.map((w) => w.name)
      )
    )
  const scenarios = all ? SCENARIOS.filter((scenario) => offered(scenario, world)) : names.map(byName)
  const runs = scenarios.flatMap((scenario) =>
    seeds.map((seed, index) => ({ scenario, world, seed, twice: index % TWICE_EVERY === TWICE_EVERY - 1 }))
  )
  return shard === undefined ? runs : runs.filter((_, index) => index % shard.count === shard.index - 1)
}

/** Whether `world` offers all that `scenario` needs. */
export const offered = (scenario: Scenario, world: World): boolean =>
  needsOf(scenario).every((need) => world.offers.has(need))

const byName = (name: string): Scenario => {
  const scenario = scenarioByName(name)
  if (scenario === undefined)
    throw new UnknownName(
      unknown(
        "scenario",
        name,
        SCENARIOS.map((known) => known.name)
      )
    )
  return scenario
}

/** `unknown scenario "stedy-state": did you mean steady-state?` */
export const unknown = (what: string, given: string, known: ReadonlyArray<string>): string => {
  const near = known
    .map((name) => ({ name, distance: editDistance(given, name) }))
    .filter(({ name, distance }) => distance <= Math.max(2, name.length / 3) || name.includes(given))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ name }) => name)
  const hint = near.length > 0 ? `did you mean ${near.join(" or ")}?` : `known are ${known.join(", ")}`
  return `unknown ${what} "${given}": ${hint}`
}

/** Levenshtein distance, by one row. */
export const editDistance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]
}
