/**
 * Tests that need a network of their own: interfaces, addresses and routes that nobody else sees and that are gone afterwards whatever happens.
 *
 * A process cannot change its network namespace from JavaScript. So the test file runs itself once more, in a new namespace, and
 * reports each result of that run as its own. Without root a user namespace serves, where the system has them.
 */

import { execFile, execFileSync } from "node:child_process"
import { accessSync, constants, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { test } from "vitest"

const ROOT = fileURLToPath(new URL("../..", import.meta.url))
/** Tells the inner run that it is one. */
const INSIDE = "HORIZON_TEST_NAMESPACE"
const RUN_MS = 120_000
const PROBE_MS = 5_000

interface Report {
  readonly testResults: ReadonlyArray<{
    readonly message: string
    readonly assertionResults: ReadonlyArray<{
      readonly fullName: string
      readonly status: string
      readonly failureMessages: ReadonlyArray<string>
    }>
  }>
}

/** Registers `tests` of `file` to run in a new network namespace; `missing`, if not empty, says what they lack here: then they are skipped. */
export const inOwnNamespace = async (file: string, missing: string, tests: () => void): Promise<void> => {
  if (process.env[INSIDE] !== undefined) {
    execFileSync("ip", ["link", "set", "lo", "up"])
    return tests()
  }
  const lacking = missing === "" ? namespaceLacking() : missing
  if (lacking !== "") return test.skip(`in a network namespace of its own; ${lacking}`, () => {})
  const report = await runInside(file)
  if (typeof report === "string")
    return test("the tests run in a network namespace of their own", () => {
      throw new Error(report)
    })
  for (const { fullName, status, failureMessages } of report.testResults.flatMap((one) => one.assertionResults)) {
    if (status === "passed") test(fullName, () => {})
    else if (status !== "failed") test.skip(fullName, () => {})
    else
      test(fullName, () => {
        throw new Error(failureMessages.join("\n"))
      })
  }
}

/** What is missing for a namespace, as one line. */
const namespaceLacking = (): string => {
  if (process.platform !== "linux") return `Linux is needed, this is ${process.platform}`
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK)
  } catch {
    return "/dev/net/tun is needed, and the right to open it (modprobe tun, or run as root)"
  }
  try {
    execFileSync("unshare", [...unshareFlags(), "ip", "link", "set", "lo", "up"], {
      timeout: PROBE_MS,
      stdio: "ignore"
    })
    return ""
  } catch {
    return "a new network namespace is needed: unshare of util-linux, ip of iproute2, and root or user namespaces"
  }
}

const unshareFlags = (): ReadonlyArray<string> =>
  process.getuid?.() === 0 ? ["--net", "--"] : ["--map-root-user", "--net", "--"]

/** The results of the run inside, or why there are none. */
const runInside = async (file: string): Promise<Report | string> => {
  const folder = mkdtempSync(join(tmpdir(), "horizon-namespace-"))
  const results = join(folder, "results.json")
  const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs")
  const args = [process.execPath, vitest, "run", file, "--reporter=json", `--outputFile.json=${results}`]
  let said = ""
  try {
    await promisify(execFile)("unshare", [...unshareFlags(), ...args], {
      cwd: ROOT,
      env: { ...process.env, [INSIDE]: "yes" },
      timeout: RUN_MS,
      maxBuffer: 16 * 1024 * 1024
    })
  } catch (error) {
    // Failed tests end it with an error too; then the results say which.
    said = String((error as { stderr?: string }).stderr ?? error)
  }
  try {
    const report = JSON.parse(readFileSync(results, "utf8")) as Report
    const count = report.testResults.flatMap((one) => one.assertionResults).length
    return count > 0 ? report : report.testResults.map((one) => one.message).join("\n") || said
  } catch {
    return `no results from inside: ${said}`
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
