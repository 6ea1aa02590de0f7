import { LabError } from "@horizon/bench/lab/lab-error.ts"
import type { LabRecord } from "@horizon/bench/lab/registry.ts"
import { EXIT } from "@horizon/core/measure/run.ts"
import { expect, test } from "vitest"
import { runHorizon } from "./command-line.fixture.ts"
import { type Labs, labCommand } from "./lab.ts"

const record = (change: Partial<LabRecord>): LabRecord => ({
  format: "horizon-lab/1",
  id: "hz-lan",
  purpose: "lan-party",
  runner: { pid: 4242, startTicks: 1 },
  bootId: "boot",
  sinceMs: 1_767_225_600_000,
  namespaces: ["hz-lan", "hz-lan.alice"],
  processes: [],
  folders: [],
  ...change
})

/** Labs of which "hz-dead" alone has no runner. */
const labs = (records: Array<LabRecord>, asked: Array<boolean> = []): Labs => ({
  listLabs: () => records,
  isAlive: ({ id }) => id !== "hz-dead",
  cleanLabs: async ({ all }) => {
    asked.push(all)
    const gone = records.filter(({ id }) => all || id === "hz-dead")
    for (const one of gone) records.splice(records.indexOf(one), 1)
    return gone.map(({ id, namespaces }) => ({ id, processes: 1, namespaces: namespaces.length, folders: 0 }))
  }
})

const horizon = (from: Labs, ...args: ReadonlyArray<string>) => runHorizon([labCommand(async () => from)], args)

test("lab list says whose each lab is, and that dead ones can be taken away", async () => {
  const said = await horizon(labs([record({}), record({ id: "hz-dead", purpose: "calibrate" })]), "lab", "list")
  expect(said.code).toBe(0)
  expect(said.out[1]).toMatch(/^hz-lan +4242 +2026-01-01T00:00:00Z +2 +0 +lan-party$/)
  expect(said.out[2]).toMatch(/^hz-dead +dead +2026-.* calibrate$/)
  expect(said.err).toEqual(["take dead ones away with: horizon lab clean"])
  expect((await horizon(labs([]), "lab", "list")).out).toEqual(["no labs"])
})

test("lab list --json is the records, each with whether its runner runs", async () => {
  const { out } = await horizon(labs([record({}), record({ id: "hz-dead" })]), "lab", "list", "--json")
  const parsed = JSON.parse(out.join("\n")) as ReadonlyArray<{ id: string; alive: boolean }>
  expect(parsed.map(({ alive, id }) => [id, alive])).toEqual([
    ["hz-lan", true],
    ["hz-dead", false]
  ])
})

test("lab clean takes away the dead and leaves the living alone, unless all are asked for", async () => {
  const asked: Array<boolean> = []
  const there = labs([record({}), record({ id: "hz-dead" })], asked)
  expect(await horizon(there, "lab", "clean")).toMatchObject({
    code: 0,
    out: ["hz-dead: 1 process, 2 namespaces, 0 folders"],
    err: ["1 lab left alone, whose runner still runs; --all takes those away too"]
  })
  expect((await horizon(there, "lab", "clean")).out).toEqual(["nothing to clean"])
  const all = await horizon(there, "lab", "clean", "--all")
  expect(all).toMatchObject({ out: ["hz-lan: 1 process, 2 namespaces, 0 folders"], err: [] })
  expect(asked).toEqual([false, false, true])
})

test("what cannot be taken away is a failure in words, not a bug", async () => {
  const stuck: Labs = {
    ...labs([]),
    cleanLabs: () => Promise.reject(new LabError("failed", "processes 7 do not die: a device holds them"))
  }
  const said = await horizon(stuck, "lab", "clean")
  expect(said.out).toEqual([])
  expect(said.err).toHaveLength(1)
  expect(said.err[0]).toContain("processes 7 do not die")
  expect(said.code).toBe(process.getuid?.() === 0 ? EXIT.harness : EXIT.skipped)
})
