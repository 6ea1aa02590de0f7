/**
 * `npm test`: types, lint, the native module, unit and contract tests with coverage, the README's promises; then one line that counts.
 * Exits non-zero if anything failed.
 */

import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const ROOT = fileURLToPath(new URL("..", import.meta.url))
/** Line coverage of core/ and sim/ together may not fall below this, in percent. */
const COVERAGE_MIN = 95
/** Exit code of the native module's build where there can be none: no Rust, no network, another system. */
const UNAVAILABLE = 69

interface Assertion {
  readonly status: string
  readonly fullName: string
}

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

/**
 * Builds the native module if its sources have changed, and holds it to Rust's own checks, in the one profile that it is built in. Where
 * something is missing for that, what is missing is said, and the module's tests say themselves that they are skipped.
 */
const native = (): void => {
  const folder = join(ROOT, "nodes/native")
  const cargo = (title: string, args: ReadonlyArray<string>): void => {
    // Every cargo tests; the others are components that distributions package apart.
    const there = args[0] === "test" || spawnSync("cargo", [args[0], "--version"], { cwd: folder }).status === 0
    console.log(`\n── native module, ${title}${there ? "" : `: skipped, cargo ${args[0]} is not here`}`)
    if (there) step(spawnSync("cargo", args, { cwd: folder, stdio: "inherit" }).status === 0)
  }
  console.log("\n── native module, build")
  const { status } = spawnSync(process.execPath, ["build.ts", "--must"], { cwd: folder, stdio: "inherit" })
  if (status === UNAVAILABLE) return
  step(status === 0)
  const build = ["--release", "--locked", "--quiet", "--target-dir", "target"]
  cargo("lint", ["clippy", ...build, "--all-targets", "--", "--deny", "warnings"])
  cargo("format", ["fmt", "--check"])
  cargo("tests", ["test", ...build])
}

step(run("types, pure rooms", "tsc", "-p", "tsconfig.pure.json"))
step(run("types, everything", "tsc", "-p", "tsconfig.json"))
step(run("types, page of the report", "tsc", "-p", "reports/page/tsconfig.json"))
step(run("lint and format", "biome", "check", "--diagnostic-level=error", "."))
native()
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
  const skipped = report.testResults.flatMap((file: { assertionResults: ReadonlyArray<Assertion> }) =>
    file.assertionResults.filter(({ status }) => status === "skipped" || status === "pending")
  )
  console.log(`\n${skipped.length} skipped${skipped.length === 0 ? "" : ", each with its reason:"}`)
  for (const { fullName } of skipped) console.log(`  ${fullName}`)
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
