/** Where a run comes from: commit, uncommitted changes, runtime, machine. */

import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { cpus, release, totalmem } from "node:os"
import { fileURLToPath } from "node:url"

const ROOT = fileURLToPath(new URL("../..", import.meta.url))

const git = (...args: ReadonlyArray<string>): string =>
  execFileSync("git", ["-C", ROOT, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()

let known: string | undefined

/** The commit, with `+` and eight hex digits of the uncommitted changes behind it if there are any; `unknown` outside git. */
export const commit = (): string => {
  known ??= readCommit()
  return known
}

const readCommit = (): string => {
  try {
    const head = git("rev-parse", "--short=12", "HEAD")
    const status = git("status", "--porcelain")
    if (status === "") return head
    const changes = status + git("diff", "HEAD")
    return `${head}+${createHash("sha256").update(changes).digest("hex").slice(0, 8)}`
  } catch {
    return "unknown"
  }
}

/** The machine and runtime, for reports. */
export const environment = (): Readonly<Record<string, string | number>> => ({
  node: process.version,
  platform: `${process.platform} ${process.arch}`,
  kernel: release(),
  cpu: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30)
})
