import { expect, test } from "vitest"
import { KeptScreen } from "./command-line.fixture.ts"
import { Progress } from "./progress.ts"

const make = (interactive: boolean, columns = 120) => {
  const clock = { nowMs: 0 }
  const screen = new KeptScreen({ interactive, columns })
  const progress = new Progress(screen, () => clock.nowMs)
  progress.handle({ kind: "planned", runs: 1, workers: 1 })
  progress.handle({ kind: "started", scenario: "swarm", world: "simulated", seed: 7 })
  return { progress, lines: screen.errLines, draws: screen.draws, clock }
}

test("the drawn line has name, seed, bar, time, percentage, speed and rest", () => {
  const { clock, draws, progress } = make(true)
  clock.nowMs = 1_000
  progress.handle({ kind: "progress", scenario: "swarm", seed: 7, seconds: 30, ofSeconds: 120 })
  expect(draws.at(-1)).toBe("\r\u001b[Kswarm seed 7  ██████░░░░░░░░░░░░░░░░░░  30.0/120 s  25 %  ×30  ETA 3 s")
})

test("on a narrow terminal the bar gives way and the figures stay whole", () => {
  const { clock, draws, progress } = make(true, 64)
  clock.nowMs = 1_000
  progress.handle({ kind: "progress", scenario: "swarm", seed: 7, seconds: 30, ofSeconds: 120 })
  const line = draws.at(-1)?.slice("\r\u001b[K".length) as string
  expect(line.length).toBeLessThan(64)
  expect(line).toMatch(/ETA 3 s$/)
})

test("the line is not drawn more than ten times a second", () => {
  const { clock, draws, progress } = make(true)
  const before = draws.length
  for (let ms = 0; ms < 1_000; ms++) {
    clock.nowMs = ms
    progress.handle({ kind: "progress", scenario: "swarm", seed: 7, seconds: ms / 10, ofSeconds: 120 })
  }
  expect(draws.length - before).toBeLessThanOrEqual(10)
})

test("a batch in real time says before it starts how long it will take at least", () => {
  const { lines, progress } = make(false)
  progress.handle({ kind: "planned", runs: 9, workers: 1, realSeconds: 3_725 })
  progress.handle({ kind: "planned", runs: 9, workers: 1, realSeconds: 42 })
  progress.handle({ kind: "planned", runs: 9, workers: 2 })
  expect(lines.slice(1)).toEqual([
    "9 runs one after the other in real time, 1 h 2 min and more",
    "9 runs one after the other in real time, 42 s and more",
    "9 runs on 2 workers"
  ])
})

test("plain output stays quiet for a short run and tells the quarters of a long one", () => {
  const { clock, lines, progress } = make(false)
  for (let seconds = 0; seconds <= 120; seconds++) {
    clock.nowMs = seconds * 10
    progress.handle({ kind: "progress", scenario: "swarm", seed: 7, seconds, ofSeconds: 120 })
  }
  expect(lines).toEqual(["started  swarm seed 7 in the simulated world"])
  const long = make(false)
  for (let seconds = 0; seconds <= 120; seconds++) {
    long.clock.nowMs = seconds * 500
    long.progress.handle({ kind: "progress", scenario: "swarm", seed: 7, seconds, ofSeconds: 120 })
  }
  expect(long.lines.filter((line) => line.startsWith("running"))).toHaveLength(3)
})
