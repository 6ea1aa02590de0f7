/** Which runs a request comes to: scenarios × seeds, cut to a shard. */

import { didYouMean } from "@horizon/nodes/config/nearest.ts"
import { SCENARIOS, scenarioByName } from "@horizon/scenarios/registry.ts"
import type { Scenario } from "@horizon/scenarios/scenario.ts"
import { needsOf } from "@horizon/scenarios/scenario.ts"
import { LINK_DRIVERS } from "../lab/link-driver.ts"
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
  shard?: Shard,
  driver?: string
): ReadonlyArray<PlannedRun> => {
  const found = WORLDS.find((candidate) => candidate.name === worldName)
  if (found === undefined)
    throw new UnknownName(
      unknown(
        "world",
        worldName,
        WORLDS.map((w) => w.name)
      )
    )
  const world = driver === undefined ? found : driven(found, driver)
  const scenarios = all ? SCENARIOS.filter((scenario) => offered(scenario, world)) : names.map(byName)
  const runs = scenarios.flatMap((scenario) =>
    seeds.map((seed, index) => ({ scenario, world, seed, twice: index % TWICE_EVERY === TWICE_EVERY - 1 }))
  )
  return shard === undefined ? runs : runs.filter((_, index) => index % shard.count === shard.index - 1)
}

const driven = (world: World, name: string): World => {
  const driver = LINK_DRIVERS.find((known) => known === name)
  if (driver === undefined) throw new UnknownName(unknown("link driver", name, LINK_DRIVERS))
  if (world.withDriver === undefined)
    throw new UnknownName(`the world ${world.name} has links of its own and takes no --driver`)
  return world.withDriver(driver)
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
const unknown = (what: string, given: string, known: ReadonlyArray<string>): string => {
  const hint = didYouMean(given, known)
  return `unknown ${what} "${given}"${hint === "" ? `: known are ${known.join(", ")}` : hint}`
}
