import { EXIT } from "@horizon/core/measure/run.ts"
import { expect, test } from "vitest"
import { junitXml } from "./junit.ts"
import { failedDocument, sampleDocument, sampleRun } from "./sample-run.ts"

/** A strict reader for the XML that we write: throws at the first thing that is not well formed, and returns the elements. */
const parseXml = (
  xml: string
): ReadonlyArray<{
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly path: string
}> => {
  const elements: Array<{ name: string; attributes: Record<string, string>; path: string }> = []
  const open: Array<string> = []
  // biome-ignore lint/suspicious/noControlCharactersInRegex: XML forbids exactly these.
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(xml) || !xml.isWellFormed())
    throw new Error("forbidden character")
  let rest = xml.replace(/^<\?xml version="1.0" encoding="UTF-8"\?>\n/, "")
  while (rest !== "") {
    const text = /^[^<]+/.exec(rest)?.[0]
    if (text !== undefined) {
      if (/&(?!(amp|lt|gt|quot|#\d+);)/.test(text)) throw new Error(`bare ampersand in ${text}`)
      if (open.length === 0 && text.trim() !== "") throw new Error(`text outside the root: ${text}`)
      rest = rest.slice(text.length)
      continue
    }
    const close = /^<\/([\w-]+)>/.exec(rest)
    if (close !== null) {
      if (open.pop() !== close[1]) throw new Error(`unexpected </${close[1]}>`)
      rest = rest.slice(close[0].length)
      continue
    }
    const tag = /^<([\w-]+)((?: [\w-]+="[^"<]*")*)(\/?)>/.exec(rest)
    if (tag === null) throw new Error(`malformed at ${rest.slice(0, 60)}`)
    const attributes: Record<string, string> = {}
    for (const [, name, value] of tag[2].matchAll(/ ([\w-]+)="([^"]*)"/g)) {
      if (name in attributes || /&(?!(amp|lt|gt|quot|#\d+);)/.test(value)) throw new Error(`bad attribute ${name}`)
      attributes[name] = value
    }
    elements.push({ name: tag[1], attributes, path: [...open, tag[1]].join("/") })
    if (tag[3] === "") open.push(tag[1])
    rest = rest.slice(tag[0].length)
  }
  if (open.length > 0) throw new Error(`never closed: ${open.join()}`)
  return elements
}

const NASTY = `a <b> & "c" ]]> \u0000\u001b[31m \ud800 'd'\n\tend`

const BATCH = {
  entries: [
    { run: sampleRun(), document: sampleDocument(), file: "two-links-simulated-7.run.json" },
    { run: failedDocument().run, document: failedDocument() },
    {
      run: sampleRun({
        scenario: NASTY,
        verdict: "harness",
        exitCode: EXIT.harness,
        failures: [{ id: "world", verdict: "harness", sentence: NASTY, events: [] }]
      })
    },
    {
      run: sampleRun({
        world: "loopback",
        verdict: "skipped",
        exitCode: EXIT.skipped,
        failures: [{ id: "world", verdict: "skipped", sentence: "world loopback does not offer nat", events: [] }]
      })
    },
    { run: sampleRun({ seed: 9, verdict: "unknown", exitCode: EXIT.unknown }) }
  ],
  setAside: []
}

test("the XML is well formed whatever names and messages hold", () => {
  expect(() => parseXml(junitXml(BATCH))).not.toThrow()
  expect(() => parseXml(junitXml({ entries: [], setAside: [] }))).not.toThrow()
})

test("each scenario is a suite, each world and seed a case, and the totals add up", () => {
  const elements = parseXml(junitXml(BATCH))
  expect(elements[0].attributes).toMatchObject({ tests: "5", failures: "2", errors: "1", skipped: "1" })
  const suites = elements.filter(({ name }) => name === "testsuite")
  expect(
    suites.map(({ attributes }) => [
      attributes["tests"],
      attributes["failures"],
      attributes["errors"],
      attributes["skipped"]
    ])
  ).toEqual([
    ["4", "2", "0", "1"],
    ["1", "0", "1", "0"]
  ])
  const cases = elements
    .filter(({ name }) => name === "testcase")
    .map(({ attributes }) => [attributes["classname"], attributes["name"]])
  expect(cases).toContainEqual(["two-links.loopback", "seed 7"])
})

test("a failure says why and how to run it again; unknown fails, skipped is skipped, neither is a pass", () => {
  const xml = junitXml(BATCH)
  expect(xml).toContain("run it again: npx horizon scenario run two-links --world simulated --seed 7")
  expect(xml).toMatch(/<failure type="safety" message="broker stopped: Error: no space&#10;/)
  expect(xml).toContain('<failure type="unknown"')
  expect(xml).toContain('<skipped message="world loopback does not offer nat"/>')
})

test("commit, runtime and digest are properties", () => {
  const found = parseXml(junitXml(BATCH))
    .filter(({ name }) => name === "property")
    .map(({ attributes }) => attributes)
  expect(found).toContainEqual({ name: "commit", value: "abcdef012345" })
  expect(found).toContainEqual({ name: "node", value: "v24.21.0" })
  expect(found).toContainEqual({ name: "digest", value: "0123456789abcdef" })
})
