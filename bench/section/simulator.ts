/** How fast the simulator is, as events and packets a second and as the ratio of simulated to real time. */

import type { BenchRow } from "@horizon/core/measure/bench.ts"
import { measureNullNodes } from "../micro/null-nodes.ts"
import { measureScenario, SPEED_SCENARIOS } from "../micro/scenario-speed.ts"
import type { SpeedFigure } from "../micro/speed-figure.ts"
import { hostIdleRatio } from "../net/host-idle.ts"
import { median } from "../net/median.ts"
import { figuresOf, must, roundsOf, type Section, type SectionRequest } from "./section.ts"

const ROUND_SECONDS = 9

const WORKS: ReadonlyArray<() => Promise<SpeedFigure>> = [
  measureNullNodes,
  ...SPEED_SCENARIOS.map((scenario) => () => measureScenario(scenario))
]

/** At a glance only the lightest, and no warming up. */
const planOf = (request: SectionRequest) => ({
  works: request.effort === "glance" ? WORKS.slice(0, 2) : WORKS,
  warmUps: request.effort === "glance" ? 0 : 1
})

export const simulator: Section = {
  name: "simulator",
  title: "Simulator",
  summary: "Whole scenarios in virtual time on one core: how much of simulated life passes in a second of real time.",
  estimateSeconds: (request) => ROUND_SECONDS * (roundsOf(request) + 1),
  missing: () => undefined,
  measure: async (request) => {
    const rounds = roundsOf(request)
    const { warmUps, works } = planOf(request)
    const figures = new Map<number, Array<SpeedFigure>>()
    const idle: Array<number> = []
    // Code that has not been compiled yet is up to three times slower: the first time does not count.
    for (let round = 1 - warmUps; round <= rounds; round++) {
      if (round > 0) idle.push(await hostIdleRatio())
      for (const [work, measure] of works.entries()) {
        request.signal?.throwIfAborted()
        const which = round === 0 ? "warming up" : `round ${round} of ${rounds}`
        request.onProgress(`${which}: work ${work + 1} of ${works.length}`)
        const figure = await measure()
        if (round > 0) figures.set(work, [...(figures.get(work) ?? []), figure])
      }
    }
    const measured = [...figures.values()]
    return {
      rounds,
      idleRatio: median(idle),
      tables: [
        {
          name: "speed",
          title: "Speed of the simulator, one core",
          rowTitle: "work",
          columns: [
            { name: "packets", title: "packets", unit: "packets/s", better: "more", chart: true },
            { name: "events", title: "events", unit: "events/s", better: "more", chart: true },
            { name: "ratio", title: "simulated time", unit: "× real time", better: "more", chart: false },
            { name: "seeds", title: "seeds", unit: "seeds/s", better: "more", chart: false }
          ],
          rows: measured.map(row)
        }
      ],
      musts: measured.map((of) => {
        const [{ must: bound, unit, work }] = of
        const at = { table: "speed", row: work, column: COLUMN[unit] }
        return must(
          { name: work, sentence: work, relation: "at least", bound, unit, at },
          median(of.map(({ value }) => value))
        )
      })
    }
  }
}

const COLUMN: Readonly<Record<SpeedFigure["unit"], string>> = {
  "packets/s": "packets",
  "× real time": "ratio",
  "seeds/s": "seeds"
}

const row = (figures: ReadonlyArray<SpeedFigure>): BenchRow => {
  const [{ unit, work }] = figures
  return {
    name: work,
    title: work,
    kind: "ours",
    figures: figuresOf({
      packets: figures.map(({ packetsPerSecond }) => packetsPerSecond),
      events: figures.map(({ eventsPerSecond }) => eventsPerSecond),
      ratio: figures.map(({ ratio }) => ratio),
      ...(unit === "seeds/s" ? { seeds: figures.map(({ value }) => value) } : {})
    })
  }
}
