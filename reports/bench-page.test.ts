import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import type { BenchDocument } from "@horizon/core/measure/bench.ts"
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { sampleBench } from "./bench.fixture.ts"
import { findBenches, readBench } from "./bench-input.ts"
import { writeBenchReport } from "./bench-report.ts"
import { WEAK_CONTRAST } from "./contrast.fixture.ts"
import { writeReport } from "./report.ts"
import { sampleDocument } from "./sample-run.ts"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "horizon-bench-page-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Writes a bench in a folder of the test's folder; gives its path. */
const put = (document: unknown, name = "bench-1"): string => {
  const path = join(folder, name)
  mkdirSync(path, { recursive: true })
  writeFileSync(join(path, "bench.json"), typeof document === "string" ? document : JSON.stringify(document))
  return path
}
const written = async (document: BenchDocument = sampleBench()): Promise<string> =>
  readFileSync(await writeBenchReport(put(document)), "utf8")

describe("the page of a benchmark", () => {
  test("says what was missed first, with what was measured, and that something was not measured at all", async () => {
    const page = await written()
    expect(page.includes("<strong>Bars missed</strong>")).toBe(true)
    expect(page.includes("1 of 3 bars met (exit code 5)")).toBe(true)
    const words = ["Horizon by the rate of C", "0.70 ×", "at least 0.80 ×", "not measured", "Horizon in memory"]
    const places = words.map((word) => page.indexOf(word))
    expect(places.every((place) => place > 0)).toBe(true)
    expect([...places].sort((a, b) => a - b)).toEqual(places)
    expect(page.includes("1.2 M packets/s")).toBe(true)
  })

  test("shows ratios, spreads, versions, what is missing and why, and every figure's label", async () => {
    const page = await written()
    const wanted = [
      "0.70 × C, recvmmsg, ± 6.4 %",
      "MTU 1420",
      "missing: cargo is not installed",
      "network namespaces need root; run as root",
      "round 2, c-gso to c-gro: it fell over",
      "measured on 2 × Some Processor, linux 6.1",
      "only 40 % of it was free",
      "npx horizon bench udp soak"
    ]
    expect(wanted.filter((words) => !page.includes(words))).toEqual([])
  })

  test("draws a bar for each subject, as long as its figure, with a whisker over its rounds", async () => {
    const page = await written()
    const widths = [...page.matchAll(/<i style="width:([\d.]+)%">/g)].map(([, width]) => Number(width))
    expect(widths).toEqual([97.71, 68.57])
    expect(page.includes('<b style="left:62.86%;width:8.57%">')).toBe(true)
    expect(page.includes('aria-label="received in M packets/s: C, recvmmsg 1.71, Horizon 1.2"')).toBe(true)
  })

  test("has names from a document only as text", async () => {
    const hostile = `</script><img src=x onerror=alert(1)>`
    const [udp] = sampleBench().sections
    const rows = udp.tables[0].rows.map((row) => ({ ...row, title: hostile, about: hostile }))
    const tables = [{ ...udp.tables[0], title: hostile, rows }]
    const page = await written(
      sampleBench({
        commit: hostile,
        command: hostile,
        fidelity: hostile,
        environment: { [hostile]: hostile },
        sections: [
          { ...udp, title: hostile, summary: hostile, tables, notes: [hostile], missing: { [hostile]: hostile } }
        ]
      })
    )
    expect(page.includes("<img")).toBe(false)
  })

  test("is linked from the report of the runs in whose folder it lies, and links back", async () => {
    const bench = put(sampleBench())
    put(sampleBench({ madeAt: "2026-02-02T03:04:05.678Z", effort: "quick" }), "bench-2")
    put("{ cut off", "bench-3")
    writeFileSync(join(folder, "a.run.json"), JSON.stringify(sampleDocument()))
    const { html } = await writeReport(folder)
    const index = readFileSync(html, "utf8")
    const links = [...index.matchAll(/href="(bench-[^"]+)"/g)].map(([, href]) => href)
    expect(links).toEqual(["bench-2/index.html", "bench-1/index.html"])
    expect(index.includes("1 of 3 bars met")).toBe(true)
    expect(readFileSync(await writeBenchReport(bench), "utf8").includes('href="../index.html"')).toBe(true)
    expect((await findBenches(folder)).map(({ folder: name }) => name)).toEqual(["bench-2", "bench-1"])
  })

  test("is not made from a file that is no bench document; the message names the file, the field and what to do", async () => {
    await expect(readBench(join(put("{ cut off"), "bench.json"))).rejects.toThrow(
      /bench\.json: is not JSON .*; measure again or remove the file/
    )
    const broken = { ...sampleBench(), effort: "some" }
    await expect(writeBenchReport(put(broken))).rejects.toThrow(/effort: expected one of record, quick, glance/)
    await expect(readBench(join(folder, "nowhere", "bench.json"))).rejects.toThrow(/cannot be read \(ENOENT\)/)
  })
})

const CHROMIUM = "/usr/bin/chromium"
const there = existsSync(CHROMIUM)

describe.skipIf(!there)(
  `the page of a benchmark in Chromium${there ? "" : ` (skipped: there is no ${CHROMIUM})`}`,
  () => {
    let browser: Browser
    let page: Page
    let problems: Array<string> = []

    beforeAll(async () => {
      const args = "--headless --no-sandbox --disable-gpu --disable-background-networking --no-first-run"
      browser = await chromium.launch({ executablePath: CHROMIUM, args: args.split(" ") })
    })
    afterEach(async () => {
      await page.context().close()
      expect(problems).toEqual([])
    })
    afterAll(() => browser?.close())

    const open = async (options: BrowserContextOptions = {}): Promise<void> => {
      const html = await writeBenchReport(put(sampleBench()))
      problems = []
      const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options })
      page = await context.newPage()
      page.on("console", (message) => problems.push(`${message.type()}: ${message.text()}`))
      page.on("pageerror", (error) => problems.push(error.message))
      await page.goto(`${pathToFileURL(html)}`)
    }

    test("draws figures over time, and bars in proportion", async () => {
      await open()
      await page.locator("#soak .plot canvas").waitFor()
      const widths = await page
        .locator(".bar .rail i")
        .evaluateAll((bars) => bars.map((bar: any) => Math.round(bar.getBoundingClientRect().width)))
      expect(widths[1] / widths[0]).toBeCloseTo(1.2 / 1.71, 1)
    })

    test("fits a screen of 380 px without scrolling sideways, and can be read in both themes", async () => {
      for (const colorScheme of ["light", "dark"] as const) {
        await open({ viewport: { width: 380, height: 800 }, colorScheme })
        expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(380)
        expect(await page.evaluate(WEAK_CONTRAST)).toEqual([])
        if (colorScheme === "light") await page.context().close()
      }
    })

    test("shows bars and tables without scripts", async () => {
      await open({ javaScriptEnabled: false })
      expect(await page.locator(".bar").count()).toBe(2)
      expect(await page.locator(".bar").first().isVisible()).toBe(true)
      expect(await page.locator("table.bench").first().isVisible()).toBe(true)
    })
  }
)
