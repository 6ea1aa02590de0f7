/**
 * Puts a link's qdiscs onto a device and believes only what the kernel says that it holds: every number of the plan is found again
 * in `tc -j qdisc show`, and nothing is there that was not planned. Works wherever `tc` can be run: in a namespace here, in a guest.
 *
 * The kernel's table of a jitter's distribution is the one setting that it does not show.
 */

import type { LinkSpec } from "@horizon/core/link/spec.ts"
import { tcClear, tcPlan } from "@horizon/core/link/tc.ts"
import { LabError } from "./lab-error.ts"
import { type HeldQdisc, heldProblems, isAt, type Qdiscs } from "./tc-settings.ts"

/** Runs `tc` with arguments where the device is; resolves with standard output, rejects if it fails. */
export type TcExec = (args: ReadonlyArray<string>) => Promise<string>

/** Counts of a stack of qdiscs since it was put on. */
export interface StackCount {
  /** What left the stack. Bytes are of IP packets. */
  readonly packets: number
  readonly bytes: number
  readonly dropped: number
  readonly overlimits: number
  readonly marked: number
}

/**
 * Makes the device's egress what a spec says, and reads it back. A stack of the same qdiscs is changed where it stands, so that what is
 * on its way is not lost; else it is `replaced` by a new one, whose counts begin at 0. Resolves with notes on what the kernel does only
 * nearly; rejects with a `LabError` that names `link`, and no qdisc on the device, if it cannot or does not do it. MTUs are not tc's.
 */
export const changeTc = async (
  exec: TcExec,
  device: string,
  spec: LinkSpec,
  link: string
): Promise<{ readonly notes: ReadonlyArray<string>; readonly replaced: boolean }> => {
  const { notes, qdiscs } = plan(spec, device, link)
  if (await changedInPlace(exec, device, qdiscs)) return { notes, replaced: false }
  await replace(exec, device, qdiscs, link)
  return { notes, replaced: true }
}

/** As `changeTc`, but always by a new stack. */
export const applyTc = async (
  exec: TcExec,
  device: string,
  spec: LinkSpec,
  link: string
): Promise<ReadonlyArray<string>> => {
  const { notes, qdiscs } = plan(spec, device, link)
  await replace(exec, device, qdiscs, link)
  return notes
}

/** A perfect spec needs no qdisc. */
const plan = (
  spec: LinkSpec,
  device: string,
  link: string
): { readonly qdiscs: Qdiscs; readonly notes: ReadonlyArray<string> } => {
  const planned = tcPlan({ ...spec, mtuBytes: MTU_BYTES }, device)
  if (planned.ok) return isPerfect(spec) ? { qdiscs: [], notes: [] } : planned
  const sentences = planned.refusals.map(({ sentence }) => sentence).join("; ")
  throw new LabError("failed", `link ${link}: tc cannot do this (${sentences}); the driver "link" can`)
}

/** Whether the same qdiscs stood there and now hold what is planned. */
const changedInPlace = async (exec: TcExec, device: string, qdiscs: Qdiscs): Promise<boolean> => {
  const held = await readTc(exec, device)
  const sameKinds = held.length === qdiscs.length && qdiscs.every((words, index) => isAt(words, held[index]))
  // A table that is left out stays as it was, and the kernel does not show it.
  const keepsTable = qdiscs.some(
    (words) => words.includes("delay") && !words.includes("distribution") && hasJitter(words)
  )
  if (qdiscs.length === 0 || !sameKinds || keepsTable) return false
  try {
    for (const words of qdiscs) await exec(words.with(1, "change"))
  } catch {
    // A kernel that cannot change a setting of a standing qdisc takes it with a new one.
    return false
  }
  // Settings that are left out may have stayed as they were.
  return heldProblems(qdiscs, await readTc(exec, device)).length === 0
}

const replace = async (exec: TcExec, device: string, qdiscs: Qdiscs, link: string): Promise<void> => {
  await clearTc(exec, device)
  if (qdiscs.length === 0) return
  for (const words of qdiscs) {
    try {
      await exec(words)
    } catch (cause) {
      await clearTc(exec, device)
      throw refusedByKernel(link, words, cause)
    }
  }
  const problems = heldProblems(qdiscs, await readTc(exec, device))
  if (problems.length === 0) return
  await clearTc(exec, device)
  throw new LabError("failed", `link ${link}: the kernel holds something else than asked: ${problems.join("; ")}`)
}

const hasJitter = (words: ReadonlyArray<string>): boolean => /us$/.test(words[words.indexOf("delay") + 2] ?? "")

/** Takes our qdiscs off the device; one that has none is left as it is. */
export const clearTc = async (exec: TcExec, device: string): Promise<void> => {
  const root = (await readTc(exec, device)).find((qdisc) => qdisc.root === true)
  // Handle 0 is the default qdisc, which cannot be deleted.
  if (root !== undefined && root.handle !== "0:") await exec(tcClear(device))
}

/** The qdiscs on a device. */
export const readTc = async (exec: TcExec, device: string): Promise<ReadonlyArray<HeldQdisc>> => {
  const all = JSON.parse((await exec(["-j", "-d", "-r", "-s", "qdisc", "show", "dev", device])) || "[]")
  return all as ReadonlyArray<HeldQdisc>
}

/** What a stack of ours has done. `spec` is the spec that it was made for; a device without a stack has done nothing. */
export const stackCount = (held: ReadonlyArray<HeldQdisc>, spec: LinkSpec): StackCount => {
  const root = held.find((qdisc) => qdisc.root === true && qdisc.handle !== "0:")
  if (root === undefined) return NOTHING
  const framing = root.stab === undefined ? ETHERNET_HEADER_BYTES : spec.overheadBytes
  return {
    packets: root.packets,
    bytes: root.bytes - root.packets * framing,
    dropped: root.drops,
    overlimits: held.reduce((sum, qdisc) => sum + qdisc.overlimits, 0),
    marked: held.reduce((sum, qdisc) => sum + (qdisc.ecn_mark ?? 0), 0)
  }
}

/** Whether a spec lets everything pass as it came. What only a shaper has does not matter without one. */
export const isPerfect = (spec: LinkSpec): boolean =>
  spec.delayUs === 0 &&
  spec.jitterUs === 0 &&
  spec.reorderGap === null &&
  spec.lossPpm === 0 &&
  spec.burstLoss === null &&
  spec.dropList.length === 0 &&
  spec.corruptPpm === 0 &&
  spec.truncatePpm === 0 &&
  spec.duplicatePpm === 0 &&
  spec.rateBps === 0 &&
  spec.deliveryTraceMs.length === 0

/** What the devices of labs pass; a smaller MTU of a link is not tc's. */
const MTU_BYTES = 1500
/** An Ethernet header, which qdiscs count and a LinkSpec does not. */
const ETHERNET_HEADER_BYTES = 14
const NOTHING: StackCount = { packets: 0, bytes: 0, dropped: 0, overlimits: 0, marked: 0 }

const refusedByKernel = (link: string, words: ReadonlyArray<string>, cause: unknown): LabError => {
  const said = (cause as Error).message
  if (/qdisc kind is unknown|RTNETLINK answers: No such file or directory/.test(said)) {
    const kind = /\b(netem|tbf|codel)\b/.exec(words.join(" "))?.[1] ?? "qdisc"
    return new LabError(
      "missing",
      `link ${link}: this kernel has no ${kind} (sch_${kind}); use the driver "box" or "link"`
    )
  }
  return new LabError("failed", `link ${link}: ${said}`)
}
