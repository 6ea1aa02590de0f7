/**
 * Two network namespaces joined by a veth pair: the smallest network on which two hosts can be measured. It is a lab like any other, on record
 * while it stands, so `horizon lab clean` takes away what a process that was killed has left.
 */

import { endProcessesIn, removeNamespaces } from "../lab/clean.ts"
import { missingTool, run } from "../lab/command.ts"
import { LabError } from "../lab/lab-error.ts"
import { entering } from "../lab/network-tools.ts"
import { beginLab, endLab, recordNamespaces } from "../lab/registry.ts"

export interface PairEnd {
  /** As `ip netns` knows it. */
  readonly namespace: string
  readonly device: string
  readonly address: string
  /** Command and arguments to put before a command, so that it runs in the namespace. */
  readonly enter: ReadonlyArray<string>
}

export interface Pair {
  /** Unique on this host, short enough to be the start of a device name. */
  readonly id: string
  readonly a: PairEnd
  readonly b: PairEnd
  /** Ends every process in the namespaces and takes them away. May be called twice. */
  readonly close: () => Promise<void>
}

const DEVICE = "veth0"

let pairs = 0

/** Makes a pair; rejects with a `LabError` where root, `ip` or the kernel's namespaces are missing. */
export const makePair = async (purpose: string): Promise<Pair> => {
  const missing = pairMissing()
  if (missing !== undefined) throw new LabError("missing", missing)
  const id = `hzp${process.pid}n${pairs++}`
  const a = endOf(`${id}a`, "10.199.0.1")
  const b = endOf(`${id}b`, "10.199.0.2")
  const namespaces = [a.namespace, b.namespace]
  beginLab(id, purpose)
  recordNamespaces(id, namespaces)
  const close = async (): Promise<void> => {
    await endProcessesIn(namespaces)
    await removeNamespaces(namespaces)
    endLab(id)
  }
  try {
    await join(a, b)
  } catch (error) {
    await close()
    throw error
  }
  return { id, a, b, close }
}

/** Why no pair can be made here, in one line; undefined if nothing is known to be in the way. */
export const pairMissing = (): string | undefined => {
  if (process.platform !== "linux") return "network namespaces need Linux"
  if (process.geteuid?.() !== 0) return "network namespaces need root; run as root"
  return missingTool("ip") ?? missingTool("nsenter") ?? missingTool("setpriv")
}

const endOf = (namespace: string, address: string): PairEnd => ({
  namespace,
  device: DEVICE,
  address,
  enter: entering(namespace)
})

const join = async (a: PairEnd, b: PairEnd): Promise<void> => {
  for (const end of [a, b]) await run(["ip", "netns", "add", end.namespace])
  const peer = ["peer", "name", DEVICE, "netns", b.namespace]
  await run(["ip", "link", "add", DEVICE, "netns", a.namespace, "type", "veth", ...peer])
  for (const end of [a, b]) {
    const inside = ["ip", "-n", end.namespace]
    await run([...inside, "address", "add", `${end.address}/24`, "dev", DEVICE])
    await run([...inside, "link", "set", DEVICE, "up"])
    await run([...inside, "link", "set", "lo", "up"])
  }
}
