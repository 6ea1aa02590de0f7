import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Script } from "node:vm"
import type { RunDocument } from "@horizon/core/measure/document.ts"
import type { Run } from "@horizon/core/measure/run.ts"
import { EXIT } from "@horizon/core/measure/run.ts"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { assets } from "./assets.ts"
import { writeReport } from "./report.ts"
import { failedDocument, sampleDocument, sampleRun } from "./sample-run.ts"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "horizon-report-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const put = (document: RunDocument): void => {
  const { scenario, world, seed } = document.run
  writeFileSync(join(folder, `${scenario}-${world}-${seed}.run.json`), JSON.stringify(document))
}
const record = (...runs: ReadonlyArray<Run>): void =>
  writeFileSync(join(folder, "runs.ndjson"), runs.map((run) => `${JSON.stringify(run)}\n`).join(""))
const page = (): string => readFileSync(join(folder, "index.html"), "utf8")
const summary = () => JSON.parse(readFileSync(join(folder, "report.json"), "utf8"))

describe("the page", () => {
  test("names no address outside itself, so it works from a file with no network", async () => {
    put(sampleDocument())
    await writeReport(folder)
    const addresses = [...page().matchAll(/(?:src|href|action)="([^"]*)"/g)].map(([, address]) => address)
    expect(
      addresses.filter(
        (address) => !/^(#|data:|junit\.xml$|report\.json$|two-links-simulated-7\.run\.json$)/.test(address)
      )
    ).toEqual([])
    expect(page()).not.toMatch(/@import|url\((?!#)/)
    expect(page()).toContain("default-src &#39;none&#39;")
  })

  test("says the verdict in words, the seed, the world, the label of its figures and the command", async () => {
    put(sampleDocument())
    await writeReport(folder)
    for (const words of [
      "<strong>Pass</strong>",
      "seed <b>7</b>",
      "world <b>simulated</b>",
      "npx horizon scenario run two-links"
    ])
      expect(page()).toContain(words)
    expect(page().match(/class="fidelity"[^>]*>simulated</g)!.length).toBeGreaterThan(3)
  })

  test("has names from a run only as text", async () => {
    const hostile = `</script><img src=x onerror=alert(1)>`
    const document = sampleDocument()
    put({
      ...document,
      summary: hostile,
      fidelity: hostile,
      madeAt: hostile,
      run: sampleRun({ commit: hostile, repro: hostile, drawn: { [hostile]: hostile } }),
      nodes: [{ name: hostile, kind: hostile, host: hostile }],
      faults: [{ atMs: 1, untilMs: 2, kind: hostile, words: hostile }],
      log: [{ id: 1, atNs: 1, node: hostile, kind: hostile, words: hostile }],
      series: [{ name: hostile, unit: hostile, group: "queue", seconds: [1], values: [1] }],
      latencies: [{ op: hostile, actors: 1, outcomes: { [hostile]: 1 }, indices: [1], counts: [1] }]
    })
    await writeReport(folder)
    expect(page()).not.toContain("<img")
  })

  test("shows why a run failed, with links to the lines of the log that have it", async () => {
    put(failedDocument())
    await writeReport(folder)
    expect(page()).toContain("<strong>Safety violated</strong>")
    expect(page()).toContain("broker stopped: Error: no space")
    expect(page()).toContain('data-event="600"')
    expect(page()).toContain("<span>unknown</span>")
  })

  test("is made of an empty document too", async () => {
    put(
      sampleDocument({
        faults: [],
        checks: [],
        watched: [],
        latencies: [],
        series: [],
        moments: [],
        log: [],
        nodes: [],
        actors: [],
        livenessFromMs: null
      })
    )
    await writeReport(folder)
    for (const words of ["No faults struck", "No operations took place", "asks nothing", "Nothing was sampled"])
      expect(page()).toContain(words)
  })

  test("stays below 2 MB for a run with 200 series of an hour and 20,000 lines of log", async () => {
    const seconds = Array.from({ length: 3_600 }, (_, index) => index)
    put(
      sampleDocument({
        series: Array.from({ length: 200 }, (_, link) => ({
          name: `throughput host-${link}`,
          unit: "Mbit/s",
          group: "throughput",
          seconds,
          values: seconds.map((second) => Math.sin(second / (link + 1)) + 1)
        })),
        log: Array.from({ length: 20_000 }, (_, id) => ({
          id,
          atNs: id * 1e6,
          node: `n${id % 9}`,
          kind: "k",
          words: "x".repeat(80)
        }))
      })
    )
    await writeReport(folder)
    expect(page().length).toBeLessThan(2e6)
    expect(page()).toContain("Neighbouring points are merged")
    expect(page()).toContain("more are in the run document")
  })

  test("is the same for the same folder", async () => {
    put(sampleDocument())
    await writeReport(folder)
    const first = page()
    await writeReport(folder)
    expect(page()).toBe(first)
  })

  test("has scripts that parse as they are put together", () => {
    const { script, early } = assets()
    expect(() => new Script(script)).not.toThrow()
    expect(() => new Script(early)).not.toThrow()
    expect(script).not.toMatch(/^\s*(import|export) /m)
  })
})

describe("the batch", () => {
  test("of many runs has an overview with each of them, gravest verdict on top", async () => {
    const skipped = sampleRun({ seed: 3, verdict: "skipped", exitCode: EXIT.skipped })
    put(sampleDocument())
    put(failedDocument())
    record(sampleDocument().run, failedDocument().run, skipped)
    await writeReport(folder)
    expect(page()).toContain("gravest of 3 runs")
    expect(page().match(/<tr data-verdict=/g)).toHaveLength(3)
    expect(summary()).toMatchObject({
      format: "horizon-report/1",
      verdict: "safety",
      exitCode: 1,
      counts: { pass: 1, safety: 1, skipped: 1 }
    })
  })

  test("leaves out documents of earlier batches, and says which", async () => {
    put(sampleDocument())
    put(failedDocument())
    record(sampleDocument().run)
    await writeReport(folder)
    expect(page()).not.toContain("no space")
    expect(page()).toContain("1 run document of earlier batches in this folder is not part")
    expect(summary().setAside).toEqual(["two-links-simulated-8.run.json"])
  })

  test("does not take an old document of the same name for this batch's", async () => {
    put(sampleDocument())
    record(sampleRun({ digest: "ffffffffffffffff" }))
    await writeReport(folder)
    expect(summary().runs[0]).toMatchObject({ digest: "ffffffffffffffff", document: null })
    expect(summary().setAside).toHaveLength(1)
  })

  test("of passes without documents still has its report", async () => {
    record(...Array.from({ length: 1_000 }, (_, seed) => sampleRun({ seed })))
    await writeReport(folder)
    expect(page()).toContain("1,000 runs: everything that was asked holds")
    expect(page().length).toBeLessThan(2e6)
  })

  test("that ended before any run is not a pass", async () => {
    record()
    await writeReport(folder)
    expect(summary()).toMatchObject({ verdict: "unknown", exitCode: 2, runs: [] })
    expect(page()).toContain("No runs")
  })

  test("has every latency figure in report.json with its unit and label", async () => {
    put(sampleDocument())
    await writeReport(folder)
    const [{ operations, speed }] = summary().runs
    expect(operations[0].latency.p99).toMatchObject({ unit: "ns", fidelity: "simulated" })
    expect(operations[1].latency).toEqual({})
    expect(speed.ratioToRealTime).toEqual({ value: 48, unit: "×", fidelity: "measured" })
  })
})

describe("a file that cannot be used", () => {
  const refused = async (name: string, content: string): Promise<string> => {
    writeFileSync(join(folder, name), content)
    const message = await writeReport(folder).then(
      () => "no error",
      (error: Error) => error.message
    )
    expect(message).toContain(join(folder, name))
    expect(message).not.toContain("\n")
    expect(readdirSync(folder)).toEqual([name])
    return message
  }

  test("is named when it is cut off, and nothing is written", async () => {
    expect(await refused("a.run.json", JSON.stringify(sampleDocument()).slice(0, 500))).toContain("is not JSON")
  })

  test("is named with the field that is wrong", async () => {
    const document = sampleDocument({ faults: [{ atMs: "soon" as never, untilMs: null, kind: "x", words: "" }] })
    expect(await refused("a.run.json", JSON.stringify(document))).toContain(
      'faults[0].atMs: expected a number, found "soon"'
    )
  })

  test("is named when it is of another format or not an object", async () => {
    expect(await refused("a.run.json", JSON.stringify({ ...sampleDocument(), format: "horizon-run/2" }))).toContain(
      "horizon-run/1"
    )
    expect(await refused("a.run.json", "null")).toContain("expected an object")
  })

  test("is named with its line in the records", async () => {
    expect(await refused("runs.ndjson", `${JSON.stringify(sampleRun())}\n{"scenario":\n`)).toContain("line 2")
  })

  test("is the folder itself when it is missing or empty", async () => {
    await expect(writeReport(join(folder, "nowhere"))).rejects.toThrow("cannot be read (ENOENT)")
    await expect(writeReport(folder)).rejects.toThrow("holds neither runs.ndjson nor run documents")
  })
})
