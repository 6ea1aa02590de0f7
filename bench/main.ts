/**
 * `npm run bench`: how fast the simulator is, as events/s, packets/s and the ratio of simulated to real time. Each figure is the median
 * of several rounds, because machines are shared; the table names the figure that must be reached.
 */

import { writeFileSync } from "node:fs"
import { measureNullNodes } from "./micro/null-nodes.ts"
import { measureScenario, SPEED_SCENARIOS } from "./micro/scenario-speed.ts"
import type { SpeedFigure } from "./micro/speed-figure.ts"
import { commit, environment } from "./runner/provenance.ts"

const ROUNDS = 3

const median = (figures: ReadonlyArray<SpeedFigure>): SpeedFigure =>
  [...figures].sort((a, b) => a.value - b.value)[Math.floor(figures.length / 2)]

const number = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString("en") : value.toLocaleString("en", { maximumFractionDigits: 2 })

const rounds = async (measure: () => Promise<SpeedFigure>): Promise<SpeedFigure> => {
  const figures: Array<SpeedFigure> = []
  for (let round = 0; round < ROUNDS; round++) figures.push(await measure())
  return median(figures)
}

const print = (figure: SpeedFigure): void => {
  const verdict = figure.value >= figure.must ? "met" : "MISSED"
  const columns = [
    figure.work.padEnd(42),
    number(figure.eventsPerSecond).padStart(12),
    number(figure.packetsPerSecond).padStart(12),
    `${number(figure.ratio)} ×`.padStart(10),
    `${number(figure.value)} ${figure.unit}`.padStart(20),
    `${number(figure.must)}`.padStart(10),
    verdict.padStart(7)
  ]
  console.log(columns.join(" "))
}

const header = ["work", "events/s", "packets/s", "ratio", "figure", "must", ""]
console.log(`simulator speed, one core, median of ${ROUNDS} rounds · commit ${commit()} · Node ${process.version}`)
console.log(
  [
    header[0].padEnd(42),
    header[1].padStart(12),
    header[2].padStart(12),
    header[3].padStart(10),
    header[4].padStart(20),
    header[5].padStart(10)
  ].join(" ")
)
const figures: Array<SpeedFigure> = []
for (const measure of [measureNullNodes, ...SPEED_SCENARIOS.map((scenario) => () => measureScenario(scenario))]) {
  const figure = await rounds(measure)
  figures.push(figure)
  print(figure)
}
const out = process.argv[2]
if (out !== undefined) {
  writeFileSync(out, JSON.stringify({ commit: commit(), environment: environment(), figures }, null, 2))
  console.log(`written to ${out}`)
}
process.exitCode = figures.every((figure) => figure.value >= figure.must) ? 0 : 5
