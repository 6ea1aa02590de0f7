/**
 * JUnit XML as continuous integration reads it: one suite for each scenario, one case for each world and seed. A run without an
 * answer is a failure, a broken harness an error, a skipped run is skipped.
 */

import type { Run } from "@horizon/core/measure/run.ts"
import type { Batch, BatchEntry } from "./batch.ts"
import { VERDICTS } from "./verdict.ts"

export const junitXml = (batch: Batch): string => {
  const suites = new Map<string, Array<BatchEntry>>()
  for (const entry of batch.entries) {
    suites.set(entry.run.scenario, [...(suites.get(entry.run.scenario) ?? []), entry])
  }
  const body = [...suites].map(([scenario, entries]) => suite(scenario, entries)).join("")
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="horizon" ${totals(batch.entries)}>\n${body}</testsuites>\n`
}

const suite = (scenario: string, entries: ReadonlyArray<BatchEntry>): string => {
  const { run } = entries[0]
  const made = entries
    .map((entry) => entry.document?.madeAt ?? "")
    .filter((at) => at !== "")
    .sort()
  const timestamp = made.length === 0 ? "" : ` timestamp="${attribute(made[0])}"`
  return `  <testsuite name="${attribute(scenario)}" ${totals(entries)}${timestamp}>
    <properties>
      <property name="commit" value="${attribute(run.commit)}"/>
      <property name="node" value="${attribute(run.nodeVersion)}"/>
    </properties>
${entries.map(testCase).join("")}  </testsuite>
`
}

const totals = (entries: ReadonlyArray<BatchEntry>): string => {
  const of = (kind: "failure" | "error" | "skipped"): number =>
    entries.filter(({ run }) => outcomeOf(run) === kind).length
  const time = entries.reduce((sum, { run }) => sum + run.wallSeconds, 0)
  return `tests="${entries.length}" failures="${of("failure")}" errors="${of("error")}" skipped="${of("skipped")}" time="${time.toFixed(3)}"`
}

const outcomeOf = ({ verdict }: Run): "passed" | "failure" | "error" | "skipped" =>
  verdict === "pass" ? "passed" : verdict === "skipped" ? "skipped" : verdict === "harness" ? "error" : "failure"

const testCase = ({ run, file }: BatchEntry): string => {
  const properties: ReadonlyArray<readonly [string, string | number]> = [
    ["seed", run.seed],
    ["world", run.world],
    ["verdict", run.verdict],
    ["exitCode", run.exitCode],
    ["digest", run.digest],
    ["timelineHash", run.timelineHash],
    ["events", run.events],
    ["packets", run.packets],
    ["simulatedSeconds", run.simulatedSeconds],
    ...(file === undefined ? [] : [["document", file] as const])
  ]
  const lines = properties.map(
    ([name, value]) => `        <property name="${name}" value="${attribute(String(value))}"/>`
  )
  return `    <testcase classname="${attribute(`${run.scenario}.${run.world}`)}" name="seed ${run.seed}" time="${run.wallSeconds.toFixed(3)}">
      <properties>
${lines.join("\n")}
      </properties>
${outcome(run)}      <system-out>${content(`run it again: ${run.repro}`)}</system-out>
    </testcase>
`
}

const outcome = (run: Run): string => {
  const kind = outcomeOf(run)
  if (kind === "passed") return ""
  const sentences = run.failures.map((failure) => `${failure.id} (${failure.verdict}): ${failure.sentence}`)
  const message = run.failures[0]?.sentence ?? VERDICTS[run.verdict].meaning
  if (kind === "skipped") return `      <skipped message="${attribute(message)}"/>\n`
  const body = [...sentences, `run it again: ${run.repro}`].join("\n")
  return `      <${kind} type="${run.verdict}" message="${attribute(message)}">${content(body)}</${kind}>\n`
}

/** Characters that XML 1.0 cannot hold in any form are shown as the replacement character. */
const legal = (text: string): string =>
  text
    .toWellFormed()
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are exactly the ones that XML forbids.
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")

const content = (text: string): string =>
  legal(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\r/g, "&#13;")

/** In an attribute, line breaks and tabs would be read as spaces unless they are written as references. */
const attribute = (text: string): string =>
  content(text).replace(/"/g, "&quot;").replace(/\n/g, "&#10;").replace(/\t/g, "&#9;")
