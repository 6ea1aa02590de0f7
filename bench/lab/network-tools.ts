/** The tools of the kernel's network: whole batches for ip and bridge, rulesets for nft, and commands inside a namespace. */

import { type RunOptions, run } from "./command.ts"

/** `ip -batch`, in a namespace if one is named. */
export const ipBatch = (lines: ReadonlyArray<string>, namespace?: string): Promise<string> =>
  batch(["ip", ...(namespace === undefined ? [] : ["-n", namespace])], lines)

/** `bridge -batch` in a namespace. */
export const bridgeBatch = (lines: ReadonlyArray<string>, namespace: string): Promise<string> =>
  batch(["bridge", "-n", namespace], lines)

/** `nft -f` in a namespace. */
export const nft = (namespace: string, script: string): Promise<string> =>
  runIn(namespace, ["nft", "-f", "-"], { input: script })

/** Command and arguments to put before a command, so that it runs with the network of a namespace. */
export const entering = (namespace: string): ReadonlyArray<string> => ["nsenter", `--net=/run/netns/${namespace}`, "--"]

/** Runs a command with the network of a namespace. */
export const runIn = (namespace: string, command: ReadonlyArray<string>, options?: RunOptions): Promise<string> =>
  run([...entering(namespace), ...command], options)

const batch = (tool: ReadonlyArray<string>, lines: ReadonlyArray<string>): Promise<string> =>
  lines.length === 0 ? Promise.resolve("") : run([...tool, "-batch", "-"], { input: `${lines.join("\n")}\n` })
