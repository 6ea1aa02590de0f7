import type { BenchRequest } from "@horizon/bench/bench.ts"
import type { BenchDocument } from "@horizon/core/measure/bench.ts"
import { EXIT } from "@horizon/core/measure/run.ts"
import { sampleBench } from "@horizon/reports/bench.fixture.ts"
import { expect, test } from "vitest"
import { type Bench, benchCommand } from "./bench.ts"
import { KeptScreen, startHorizon } from "./command-line.fixture.ts"

/** Benchmarks that give the sample, after what `meanwhile` waits for; files are named after the commit of what is in them. */
const fake = (requests: Array<BenchRequest>, meanwhile: (request: BenchRequest) => Promise<void>): Bench => ({
  runBench: async (request) => {
    requests.push(request)
    const document = sampleBench()
    request.onEvent({
      kind: "planned",
      sections: document.sections.map(({ name }) => ({ name, estimateSeconds: 60 }))
    })
    for (const section of document.sections) {
      request.onEvent({ kind: "started", name: section.name, title: section.title })
      await meanwhile(request)
      if (request.signal?.aborted) return { ...document, interrupted: true, sections: [] }
      request.onEvent({ kind: "finished", section })
    }
    request.onEvent({ kind: "written", document: `${request.out}/bench.json`, html: `${request.out}/index.html` })
    return document
  },
  listSections: () => [{ name: "udp", title: "UDP", summary: "Datagrams a second", onRequest: false }],
  readBench: async (file) => {
    if (file.includes("broken")) throw new Error(`${file}: is not JSON`)
    return file.endsWith("fixture.ts") ? faster() : sampleBench()
  }
})

/** The sample, with figures that are twice as large. */
const faster = (): BenchDocument => {
  const [udp, ...rest] = sampleBench().sections
  const tables = udp.tables.map((table) => ({
    ...table,
    rows: table.rows.map((row) => ({
      ...row,
      figures: Object.fromEntries(
        Object.entries(row.figures).map(([name, { median, rounds }]) => [
          name,
          { median: 2 * median, rounds: rounds.map((value) => 2 * value) }
        ])
      )
    }))
  }))
  return sampleBench({ sections: [{ ...udp, tables }, ...rest] })
}

interface Options {
  readonly requests?: Array<BenchRequest>
  readonly meanwhile?: (request: BenchRequest) => Promise<void>
  readonly interactive?: boolean
}

const start = (args: ReadonlyArray<string>, options: Options = {}) => {
  const { interactive = false, meanwhile = () => Promise.resolve(), requests = [] } = options
  const screen = new KeptScreen({ interactive, columns: 60 })
  return startHorizon([benchCommand(async () => fake(requests, meanwhile))], ["bench", ...args], screen)
}
const bench = (...args: ReadonlyArray<string>) => start(args).said()

test("a bench prints tables, bars with met or MISSED, and what is missing; a missed bar is exit code 5", async () => {
  const requests: Array<BenchRequest> = []
  const { code, err, out } = await start(["udp", "soak", "--quick", "--rounds", "2", "--out", "there"], {
    requests
  }).said()
  expect(code).toBe(EXIT.performance)
  const text = out.join("\n")
  expect(text).toMatch(/UDP · 3 rounds · host 40 % free before each/)
  expect(text).toMatch(/receiver +received +ratio +lost\n +M packets\/s +%\n/)
  expect(text).toMatch(/Horizon \(MTU 1420\) +1\.2 +0\.70 × +-\n/)
  expect(text).toContain("MISSED  Horizon by the rate of C: 0.70 × (at least 0.80 ×)")
  expect(text).toContain("met     Horizon in memory: 1.2 M packets/s (at least 600 k packets/s)")
  expect(text).toContain("MISSED  memory of the gateway: not measured (at most 5 %)")
  expect(text).toContain("missing: veth: network namespaces need root; run as root")
  expect(text).toContain("note: round 2, c-gso to c-gro: it fell over")
  expect(out.at(-1)).toBe("1 bars met, 2 missed; 2 sections in 313 s")
  expect(err[0]).toBe("measuring udp, soak: about 2 min")
  expect(err.at(-1)).toBe("report: there/index.html")
  expect(requests[0]).toMatchObject({
    sections: ["udp", "soak"],
    effort: "quick",
    rounds: 2,
    out: "there",
    command: "npx horizon bench udp soak --quick --rounds 2"
  })
})

test("without options it is a record in a folder of its own, named after the time", async () => {
  const requests: Array<BenchRequest> = []
  await start([], { requests }).said()
  const [{ effort, out, rounds, sections }] = requests
  expect([effort, rounds, sections]).toEqual(["record", undefined, []])
  expect(out).toMatch(/^reports\/out\/bench-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ$/)
})

test("--json prints the document and nothing else on standard output", async () => {
  const { out } = await bench("--json")
  expect(out).toHaveLength(1)
  expect(JSON.parse(out[0])).toMatchObject({ format: "horizon-bench/1", sections: [{ name: "udp" }, { name: "soak" }] })
})

test.each([
  ["--rounds", "0", "a whole number from 1 to 999"],
  ["--minutes", "ten", "a number of minutes"],
  ["--rate", "-1", "a whole number from 1 to 9999999"],
  ["--subjects", "a, b", "names separated by commas"]
])("%s %s is bad use, with what is wanted", async (flag, value, wanted) => {
  const { code, err } = await bench(`${flag}=${value}`)
  expect(code).toBe(EXIT.usage)
  expect(err.join()).toContain(`${flag} must be ${wanted}`)
})

test("Ctrl-C stops what is being measured, waits for it to clean up, and exits with 130", async () => {
  const requests: Array<BenchRequest> = []
  let cleaned = false
  const meanwhile = async ({ signal }: BenchRequest): Promise<void> => {
    await new Promise<void>((resolve) => signal?.addEventListener("abort", () => resolve()))
    await new Promise((resolve) => setTimeout(resolve, 20))
    cleaned = true
  }
  const { fiber, said } = start([], { requests, meanwhile })
  while (requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  fiber.interruptUnsafe()
  expect((await said()).code).toBe(EXIT.interrupted)
  expect(cleaned).toBe(true)
})

test("on a terminal one line shows where it is, no wider than that, and is taken away", async () => {
  const meanwhile = async ({ onEvent }: BenchRequest): Promise<void> =>
    onEvent({ kind: "progress", name: "udp", sentence: "round 1 of 3: c-sendto to c-recvfrom, 200 bytes, loopback" })
  const { drawn } = await start([], { meanwhile, interactive: true }).said()
  expect(drawn).toContain("0 s of about 2 min  udp: round 1 of 3")
  const lines = drawn.split("\r\u001b[K").filter((line) => line !== "")
  expect(lines.every((line) => line.length < 60)).toBe(true)
  expect(drawn.endsWith("\r\u001b[K")).toBe(true)
})

test("bench list says what there is", async () => {
  expect((await bench("list")).out).toEqual(["udp", "    Datagrams a second"])
  expect(JSON.parse((await bench("list", "--json")).out.join(""))).toMatchObject([{ name: "udp" }])
})

test("bench compare names what changed beyond the noise; a figure that is worse is exit code 5", async () => {
  const [now, twice] = [
    import.meta.filename,
    import.meta.filename.replace("bench.test.ts", "../../reports/bench.fixture.ts")
  ]
  const better = await bench("compare", now, twice)
  expect(better.code).toBe(0)
  expect(better.out[0]).toMatch(/^ +section +figure +before +after +ratio +noise$/)
  expect(better.out[1]).toMatch(
    /^better +UDP +Receiving over loopback, C, recvmmsg, received +1\.71 M packets\/s +3\.42 M/
  )
  expect(better.out.at(-1)).toBe("3 figures in both: 2 better, 0 worse, 1 within the noise of their rounds")
  expect(better.err.join()).toContain("only 40 % of the host was free")
  expect((await bench("compare", twice, now)).code).toBe(EXIT.performance)
  expect((await bench("compare", now, now)).out).toEqual([
    "3 figures in both: 0 better, 0 worse, 3 within the noise of their rounds"
  ])
})

test("bench compare wants two files that are there", async () => {
  expect(await bench("compare", import.meta.filename)).toMatchObject({ code: EXIT.usage })
  const gone = await bench("compare", import.meta.filename, "nowhere.json")
  expect([gone.code, gone.err]).toEqual([EXIT.noInput, ["horizon: there is no nowhere.json"]])
})
