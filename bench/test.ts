/**
 * `npm test`: types, lint, unit and contract tests with coverage, the README's promises; then one line that counts. Exits non-zero if
 * anything failed.
 */

import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const ROOT = fileURLToPath(new URL("..", import.meta.url))
/** Line coverage of core/ and sim/ together may not fall below this, in percent. */
const COVERAGE_MIN = 95

const folder = mkdtempSync(join(tmpdir(), "horizon-test-"))
const results = join(folder, "results.json")
let failed = 0
let passed = 0

const run = (title: string, command: string, ...args: ReadonlyArray<string>): boolean => {
  console.log(`\n── ${title}`)
  const { status } = spawnSync(join(ROOT, "node_modules/.bin", command), args, { cwd: ROOT, stdio: "inherit" })
  return status === 0
}
const step = (ok: boolean): void => {
  if (ok) passed++
  else failed++
}

step(run("types, pure rooms", "tsc", "-p", "tsconfig.pure.json"))
step(run("types, everything", "tsc", "-p", "tsconfig.json"))
step(run("types, page of the report", "tsc", "-p", "reports/page/tsconfig.json"))
step(run("lint and format", "biome", "check", "--diagnostic-level=error", "."))
run("tests", "vitest", "run", "--coverage", "--reporter=default", "--reporter=json", `--outputFile.json=${results}`)
try {
  const report = JSON.parse(readFileSync(results, "utf8"))
  passed += report.numPassedTests
  failed +=
    report.numFailedTests +
    report.testResults.filter(
      (file: { status: string; assertionResults: Array<unknown> }) =>
        file.status === "failed" && file.assertionResults.length === 0
    ).length
  const coverage = JSON.parse(readFileSync(join(ROOT, "coverage/coverage-summary.json"), "utf8"))
  const { pct } = coverage.total.lines
  console.log(`\nline coverage of core/ and sim/: ${pct} % (at least ${COVERAGE_MIN} %)`)
  step(pct >= COVERAGE_MIN)
} catch (error) {
  console.error(`no test results: ${(error as Error).message}`)
  failed++
} finally {
  rmSync(folder, { recursive: true, force: true })
}
console.log(`\n${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
