/**
 * Strikes the faults of a timeline at their times and takes them back. It knows no world: a world gives it a scheduler and the
 * handles that it can offer.
 */

import type { Fault } from "@horizon/core/lab/fault.ts"
import { describeFault } from "@horizon/core/lab/fault.ts"
import type { TraceLog } from "@horizon/core/lab/trace.ts"
import type { LinkSpec } from "@horizon/core/link/spec.ts"

/** The handles of a world. Those that change something return what takes it back. */
export interface FaultHandles {
  readonly changeLink: (name: string, direction: "up" | "down" | "both", change: Partial<LinkSpec>) => () => void
  readonly partition: (a: ReadonlyArray<string>, b: ReadonlyArray<string>, direction: "both" | "a-to-b") => () => void
  readonly natWipe: (router: string) => void
  readonly natRebind: (router: string) => void
  readonly crash: (node: string) => void
  /** Stops a node cleanly, then calls `stopped`. */
  readonly stop: (node: string, stopped: () => void) => void
  /** Starts a node that is down; nothing if it runs. */
  readonly start: (node: string) => void
  readonly pause: (node: string) => () => void
  readonly stepClock: (node: string, stepMs: number) => void
  readonly driftClock: (node: string, driftPpm: number) => () => void
  readonly storeFault: (
    node: string,
    mode: "busy" | "full" | "slow" | "failed-commit",
    ppm: number,
    delayMs: number
  ) => () => void
  readonly outage: (node: string, mode: "down" | "half") => () => void
  readonly slowConsumer: (node: string, everyMs: number) => () => void
}

export interface FaultDriver {
  /** Takes back every fault that still lasts, starts every node that is down: the end of the safety phase. */
  readonly heal: () => void
}

/** Schedules a timeline. `at` runs work at a time of the run in ms; `nowNs` is world time, for the trace. */
export const driveFaults = (
  timeline: ReadonlyArray<Fault>,
  handles: FaultHandles,
  at: (ms: number, work: () => void) => void,
  trace: TraceLog,
  nowNs: () => number
): FaultDriver => {
  const lasting = new Map<number, () => void>()
  const down = new Set<string>()
  let healed = false

  const end = (index: number): void => {
    const undo = lasting.get(index)
    if (undo === undefined) return
    lasting.delete(index)
    undo()
    trace.write(nowNs(), "world", "fault.ended", { index, words: describeFault(timeline[index]) })
  }
  const begin = (index: number, fault: Fault): void => {
    if (healed) return
    trace.write(nowNs(), "world", "fault.began", { index, words: describeFault(fault) })
    const undo = strike(fault)
    if (undo !== undefined) lasting.set(index, undo)
    if ("forMs" in fault) at(fault.atMs + fault.forMs, () => end(index))
  }

  const strike = (fault: Fault): (() => void) | undefined => {
    switch (fault.kind) {
      case "link":
        return handles.changeLink(fault.interface, fault.direction, fault.change)
      case "partition":
        return handles.partition(fault.a, fault.b, fault.direction)
      case "nat-wipe":
        return void handles.natWipe(fault.router)
      case "nat-rebind":
        return void handles.natRebind(fault.router)
      case "crash":
        handles.crash(fault.node)
        down.add(fault.node)
        if (fault.downMs !== null) at(fault.atMs + fault.downMs, () => restart(fault.node))
        return undefined
      case "pause":
        return handles.pause(fault.node)
      case "clock-step":
        return void handles.stepClock(fault.node, fault.stepMs)
      case "clock-drift":
        return handles.driftClock(fault.node, fault.driftPpm)
      case "store":
        return handles.storeFault(fault.node, fault.mode, fault.ppm, fault.delayMs)
      case "outage":
        return handles.outage(fault.node, fault.mode)
      case "slow-consumer":
        return handles.slowConsumer(fault.node, fault.everyMs)
      case "upgrade":
        fault.nodes.forEach((node, order) => {
          at(fault.atMs + order * fault.everyMs, () => {
            if (!healed) handles.stop(node, () => handles.start(node))
          })
        })
        return undefined
    }
  }
  const restart = (node: string): void => {
    if (down.delete(node)) handles.start(node)
  }

  timeline.forEach((fault, index) => {
    at(fault.atMs, () => begin(index, fault))
  })
  return {
    heal: () => {
      healed = true
      for (const index of [...lasting.keys()]) end(index)
      for (const node of [...down]) restart(node)
    }
  }
}
