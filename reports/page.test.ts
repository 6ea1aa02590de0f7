/** The page in real headless Chromium: charts are drawn, controls work, nothing is fetched, small screens and dark rooms are served. */

import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { EXIT } from "@horizon/core/measure/run.ts"
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { WEAK_CONTRAST } from "./contrast.fixture.ts"
import { junitXml } from "./junit.ts"
import { writeReport } from "./report.ts"
import { failedDocument, sampleDocument, sampleRun } from "./sample-run.ts"

const CHROMIUM = "/usr/bin/chromium"
const there = existsSync(CHROMIUM)
if (!there)
  console.warn(`The report's page is not tested: there is no ${CHROMIUM} (on Debian: apt-get install chromium).`)

/** How many pixels of a canvas are painted. It is read from a copy: reading a canvas that is drawn to makes Chromium complain. */
const paintedOn = (canvas: Locator): Promise<number> =>
  canvas.evaluate((source: any) => {
    const copy = new (globalThis as any).OffscreenCanvas(source.width, source.height)
    const context = copy.getContext("2d", { willReadFrequently: true })
    context.drawImage(source, 0, 0)
    const { data } = context.getImageData(0, 0, source.width, source.height)
    let seen = 0
    for (let at = 3; at < data.length; at += 4) if (data[at] > 0) seen++
    return seen
  })

describe.skipIf(!there)("the page in Chromium", () => {
  let browser: Browser
  let folder = ""
  let page: Page
  let problems: Array<string> = []
  let requests: Array<string> = []

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "horizon-page-"))
    const args =
      "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync --no-first-run"
    browser = await chromium.launch({ executablePath: CHROMIUM, args: args.split(" ") })
  })
  afterEach(async () => {
    await page.context().close()
    expect(problems).toEqual([])
    expect(requests.filter((url) => !url.startsWith("file:"))).toEqual([])
  })
  afterAll(async () => {
    await browser?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const open = async (how: "one" | "batch", options: BrowserContextOptions = {}, hash = ""): Promise<void> => {
    rmSync(folder, { recursive: true, force: true })
    folder = mkdtempSync(join(tmpdir(), "horizon-page-"))
    const documents = how === "one" ? [failedDocument()] : [sampleDocument(), failedDocument()]
    documents.forEach((document, index) => {
      writeFileSync(join(folder, `${index}.run.json`), JSON.stringify(document))
    })
    const skipped = sampleRun({ scenario: "elsewhere", verdict: "skipped", exitCode: EXIT.skipped })
    const runs = how === "one" ? [] : [skipped]
    const records = [...documents.map(({ run }) => run), ...runs].map((run) => `${JSON.stringify(run)}\n`)
    writeFileSync(join(folder, "runs.ndjson"), records.join(""))
    const { html } = await writeReport(folder)
    problems = []
    requests = []
    const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options })
    page = await context.newPage()
    page.on("console", (message) => problems.push(`${message.type()}: ${message.text()}`))
    page.on("pageerror", (error) => problems.push(error.message))
    page.on("request", (request) => requests.push(request.url()))
    await page.goto(`${pathToFileURL(html)}${hash}`)
    await page.locator("section.run:not([hidden]) .plot canvas").first().waitFor()
  }

  test("draws every chart, and says in words what each shows", async () => {
    await open("one")
    await page.locator("[data-percentiles] canvas").waitFor()
    const canvases = await page.locator("#run-1-time canvas, #run-1-latency canvas").all()
    expect(canvases).toHaveLength(4)
    for (const canvas of canvases) expect(await paintedOn(canvas)).toBeGreaterThan(2_000)
    for (const plot of await page.locator(".plot").all())
      expect(await plot.getAttribute("aria-label")).toMatch(/Highest|median/)
  })

  test("switches series on and off, finds them by name, and draws them again", async () => {
    await open("one")
    const chart = page.locator('[data-chart="run-1-throughput"]')
    const canvas = chart.locator("canvas")
    const on = chart.locator('.legend-rows button[aria-pressed="true"]')
    expect(await on.count()).toBe(6)
    const before = await paintedOn(canvas)
    await chart.getByRole("button", { name: "None" }).click()
    expect(await on.count()).toBe(0)
    await page.waitForTimeout(50)
    expect(await paintedOn(canvas)).toBeLessThan(before)
    await chart.getByRole("searchbox").fill("host-11")
    expect(await chart.locator(".legend-rows button:visible").count()).toBe(1)
    await chart.locator(".legend-rows button:visible").click()
    expect(await on.count()).toBe(1)
    await chart.getByRole("button", { name: "Top" }).click()
    expect(await on.count()).toBe(6)
  })

  test("shows one cursor in all charts, by pointer and by keyboard", async () => {
    await open("one")
    const heads = page.locator("#run-1-time .legend-when")
    await page.locator('[data-chart="run-1-queue"] .u-over').hover()
    const shown = await heads.allTextContents()
    expect(shown).toHaveLength(3)
    for (const text of shown) expect(text).toMatch(/^at [\d.]+ s/)
    const plot = page.locator('[data-chart="run-1-throughput"] .plot')
    await plot.focus()
    await page.keyboard.press("ArrowRight")
    expect(await heads.nth(1).textContent()).not.toBe(shown[1])
  })

  test("zooms all charts and the fault timeline together, and back", async () => {
    await open("one")
    const over = page.locator('[data-chart="run-1-queue"] .u-over')
    await over.scrollIntoViewIfNeeded()
    const box = (await over.boundingBox())!
    await page.mouse.move(box.x + box.width * 0.25, box.y + 50)
    await page.mouse.down()
    await page.mouse.move(box.x + box.width * 0.5, box.y + 50, { steps: 4 })
    await page.mouse.up()
    const from = () =>
      page.locator(".timeline").evaluate((element: any) => Number(element.style.getPropertyValue("--t0")))
    expect(await from()).toBeCloseTo(15, 0)
    await page.locator('[data-chart="run-1-throughput"] .plot').focus()
    await page.keyboard.press("Escape")
    expect(await from()).toBe(0)
  })

  test("filters the log, turns its pages, and jumps to the line that shows a violation", async () => {
    await open("one")
    const log = page.locator("[data-log]")
    const rows = log.locator("tbody tr")
    expect(await rows.count()).toBe(100)
    await log.getByRole("button", { name: "Last" }).click()
    expect(await rows.count()).toBe(50)
    await log.getByLabel("Node").selectOption({ label: "client-a" })
    await log.getByLabel("Kind").selectOption({ label: "client.status" })
    expect(await log.locator("output").textContent()).toBe("25 of 250 lines")
    await log.getByLabel("Text").fill("nothing like it")
    expect(await rows.count()).toBe(0)
    await page.locator("#run-1-checks a[data-event]").first().click()
    const marked = log.locator("tr.marked")
    expect(await marked.textContent()).toContain("line 200")
    expect(await log.locator("tr.marked:focus").count()).toBe(1)
  })

  test("of a batch shows the failed run first, and another by link, button and address", async () => {
    await open("batch")
    const visible = page.locator("section.run:visible")
    expect(await visible.getAttribute("id")).toBe("run-2")
    await page.locator("#overview tbody a").first().click()
    await page.locator("#run-1:visible").waitFor()
    await page.locator('[data-chart="run-1-queue"] canvas').waitFor()
    await page.getByRole("button", { name: "Next run" }).click()
    expect(await visible.getAttribute("id")).toBe("run-2")
    await page.context().close()
    await open("batch", {}, "#run-1-checks")
    expect(await page.locator("section.run:visible").getAttribute("id")).toBe("run-1")
  })

  test("sorts and filters the overview", async () => {
    await open("batch")
    const rows = page.locator("#overview tbody tr:visible")
    const head = page.locator("#overview th", { hasText: "Verdict" })
    await head.getByRole("button").click()
    expect(await head.getAttribute("aria-sort")).toBe("ascending")
    expect(await rows.first().getAttribute("data-verdict")).toBe("safety")
    await head.getByRole("button").click()
    expect(await rows.first().getAttribute("data-verdict")).toBe("skipped")
    await page.locator('#overview input[value="pass"]').uncheck()
    expect(await rows.count()).toBe(2)
    await page.locator("#overview").getByLabel("Text").fill("elsewhere")
    expect(await rows.count()).toBe(1)
    expect(await page.locator("#overview output").textContent()).toBe("1 of 3 shown")
  })

  test("fits a screen of 380 px without scrolling sideways", async () => {
    for (const how of ["one", "batch"] as const) {
      await open(how, { viewport: { width: 380, height: 800 } })
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(380)
      if (how === "one") await page.context().close()
    }
  })

  test("is dark where the system is, light by the switch, and remembers", async () => {
    await open("one", { colorScheme: "dark" })
    const background = () => page.evaluate("getComputedStyle(document.body).backgroundColor")
    const dark = await background()
    expect(dark).toBe("rgb(16, 20, 26)")
    const button = page.getByRole("button", { name: "Dark theme" })
    expect(await button.getAttribute("aria-pressed")).toBe("true")
    await button.click()
    expect(await button.getAttribute("aria-pressed")).toBe("false")
    const light = await background()
    expect(light).toBe("rgb(246, 247, 249)")
    await page.reload()
    expect(await background()).toBe(light)
  })

  test("has text that stands out from its background in both themes", async () => {
    for (const colorScheme of ["light", "dark"] as const) {
      await open("one", { colorScheme })
      expect(await page.evaluate(WEAK_CONTRAST)).toEqual([])
      if (colorScheme === "light") await page.context().close()
    }
  })

  test("can be read without scripts", async () => {
    rmSync(folder, { recursive: true, force: true })
    await open("one")
    await page.context().close()
    page = await (await browser.newContext({ javaScriptEnabled: false })).newPage()
    await page.goto(`${pathToFileURL(join(folder, "index.html"))}`)
    expect(await page.locator(".hero strong").textContent()).toBe("Safety violated")
    expect(await page.locator("table.latency tbody tr").count()).toBe(2)
    expect(await page.locator("svg.sequence").isVisible()).toBe(true)
  })

  test("stands beside JUnit XML that a browser's strict parser accepts", async () => {
    await open("one")
    const xml = junitXml({ entries: [{ run: failedDocument().run }], setAside: [] })
    const parsed = (text: string) => `
      (() => { const parsed = new DOMParser().parseFromString(${JSON.stringify(text)}, "application/xml")
        return parsed.querySelector("parsererror") === null && parsed.querySelectorAll("testcase").length })()`
    expect(await page.evaluate(parsed(xml))).toBe(1)
    expect(await page.evaluate(parsed(xml.replace("</failure>", "")))).toBe(false)
  })
})
