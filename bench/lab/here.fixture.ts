/** What a test of a lab needs of this host, and why it is skipped where that is missing. */

import { spawnSync } from "node:child_process"
import { toolEnvironment } from "./command.ts"

const answers = (command: string, ...args: ReadonlyArray<string>): boolean => {
  return spawnSync(command, args, { env: toolEnvironment(), stdio: "ignore" }).status === 0
}

/** For the name of a test: empty if it can run here. */
export const namespacesMissing = ((): string => {
  if (process.getuid?.() !== 0) return "needs root"
  if (!answers("ip", "-V")) return "needs ip (iproute2)"
  if (!answers("nft", "--version")) return "needs nft (nftables)"
  if (!answers("nsenter", "--version")) return "needs nsenter (util-linux)"
  if (!answers("unshare", "--net", "true")) return "needs the right to make network namespaces"
  return ""
})()

/** For the name of a test that looks at packets; empty if it can run here. */
export const tcpdumpMissing =
  process.getuid?.() !== 0 ? "needs root" : answers("tcpdump", "--version") ? "" : "needs tcpdump"

/** For the name of a test of what dies with its parent; empty if the kernel can be asked for that here. */
export const setprivMissing = answers("setpriv", "--pdeathsig", "KILL", "--", "true")
  ? ""
  : "needs setpriv with --pdeathsig (util-linux)"

/** Whether the running kernel has a qdisc. */
export const hasQdisc = (kind: string, ...args: ReadonlyArray<string>): boolean =>
  namespacesMissing === "" && answers("unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", kind, ...args)

/** A test's name with the reason why it is skipped. */
export const named = (name: string, missing: string): string =>
  missing === "" ? name : `${name} [skipped: ${missing}]`
