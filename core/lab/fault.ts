/**
 * Faults as data. A scenario names some; a swarm draws some from a seed; the drawn timeline is what a failing run keeps.
 * Times count from the start of the run. `forMs` is how long the fault lasts; what it changed is put back afterwards.
 */

import type { GilbertElliott, LinkSpec } from "../link/spec.ts"

interface Timed {
  readonly atMs: number
}
interface Lasting extends Timed {
  readonly forMs: number
}

/** A change of one host's or router interface's access link. `interface` is a host's or `router/subnet`. */
export interface LinkFault extends Lasting {
  readonly kind: "link"
  readonly interface: string
  readonly direction: "up" | "down" | "both"
  readonly change: Partial<LinkSpec>
}
/** No packet passes between the hosts of `a` and those of `b`: both ways, or only from `a` to `b`. */
export interface PartitionFault extends Lasting {
  readonly kind: "partition"
  readonly a: ReadonlyArray<string>
  readonly b: ReadonlyArray<string>
  readonly direction: "both" | "a-to-b"
}
/** The NAT forgets its mappings (`wipe`), or gives every live flow a new outside port from now on (`rebind`). */
export interface NatFault extends Timed {
  readonly kind: "nat-wipe" | "nat-rebind"
  readonly router: string
}
/** The node dies without a word; all is lost but what its store committed. It starts again after `downMs`, or never. */
export interface CrashFault extends Timed {
  readonly kind: "crash"
  readonly node: string
  readonly downMs: number | null
}
/** The node stops running, as by SIGSTOP; time goes on, packets pile up in its sockets. */
export interface PauseFault extends Lasting {
  readonly kind: "pause"
  readonly node: string
}
/** The wall clock of the node's host jumps. */
export interface ClockStepFault extends Timed {
  readonly kind: "clock-step"
  readonly node: string
  readonly stepMs: number
}
/** The wall clock of the node's host runs fast (positive) or slow. */
export interface ClockDriftFault extends Lasting {
  readonly kind: "clock-drift"
  readonly node: string
  readonly driftPpm: number
}
/** The node's store misbehaves: SQLITE_BUSY, SQLITE_FULL, slow, or COMMIT fails, with the given probability per statement. */
export interface StoreFault extends Lasting {
  readonly kind: "store"
  readonly node: string
  readonly mode: "busy" | "full" | "slow" | "failed-commit"
  readonly ppm: number
  /** For `slow`: added to each statement. */
  readonly delayMs: number
}
/** The node's HTTP service is away (`down`: connections are refused) or half away (`half`: accepts and never answers). */
export interface OutageFault extends Lasting {
  readonly kind: "outage"
  readonly node: string
  readonly mode: "down" | "half"
}
/** The node's sockets are read only every `everyMs`: receive buffers overflow. */
export interface SlowConsumerFault extends Lasting {
  readonly kind: "slow-consumer"
  readonly node: string
  readonly everyMs: number
}
/** The nodes are stopped cleanly and started again, one after the other. */
export interface UpgradeFault extends Timed {
  readonly kind: "upgrade"
  readonly nodes: ReadonlyArray<string>
  readonly everyMs: number
}

export type Fault =
  | LinkFault
  | PartitionFault
  | NatFault
  | CrashFault
  | PauseFault
  | ClockStepFault
  | ClockDriftFault
  | StoreFault
  | OutageFault
  | SlowConsumerFault
  | UpgradeFault

/** What a fault does, in a sentence for people. */
export const describeFault = (fault: Fault): string => {
  switch (fault.kind) {
    case "link":
      return `the link of ${fault.interface}${WAYS[fault.direction]} has ${describeChange(fault.change)} for ${seconds(fault.forMs)}`
    case "partition":
      return `${fault.a.join(", ")} cannot reach ${fault.b.join(", ")}${fault.direction === "both" ? ", nor the other way," : " (the other way works)"} for ${seconds(fault.forMs)}`
    case "nat-wipe":
      return `NAT ${fault.router} forgets all its mappings`
    case "nat-rebind":
      return `NAT ${fault.router} moves every flow to a new outside port`
    case "crash":
      return `${fault.node} crashes${fault.downMs === null ? " and stays down" : ` and starts again after ${seconds(fault.downMs)}`}`
    case "pause":
      return `${fault.node} is paused for ${seconds(fault.forMs)}`
    case "clock-step":
      return `the wall clock of ${fault.node} jumps by ${seconds(fault.stepMs)}`
    case "clock-drift":
      return `the wall clock of ${fault.node} drifts by ${fault.driftPpm} ppm for ${seconds(fault.forMs)}`
    case "store":
      return `the store of ${fault.node} is ${fault.mode} (${fault.ppm / 10_000} % of statements) for ${seconds(fault.forMs)}`
    case "outage":
      return fault.mode === "down"
        ? `${fault.node} refuses connections for ${seconds(fault.forMs)}`
        : `${fault.node} accepts connections and never answers for ${seconds(fault.forMs)}`
    case "slow-consumer":
      return `${fault.node} reads its sockets only every ${fault.everyMs} ms for ${seconds(fault.forMs)}`
    case "upgrade":
      return `${fault.nodes.join(", ")} are restarted one after the other, ${seconds(fault.everyMs)} apart`
  }
}

const WAYS = { up: ", outwards,", down: ", inwards,", both: "" } as const

/** A change of a link in the words of its users; fields without words of their own by name. */
const describeChange = (change: Partial<LinkSpec>): string => {
  const { burstLoss, jitterUs, distribution, delayUs, rateBps, queue, ...others } = change
  const words: Array<string> = []
  if (delayUs !== undefined) words.push(`a delay of ${delayUs / 1000} ms`)
  if (jitterUs !== undefined)
    words.push(`a jitter of ${jitterUs / 1000} ms${distribution === undefined ? "" : ` (${distribution})`}`)
  if (rateBps !== undefined) words.push(rateBps === 0 ? "no limit of its rate" : `a rate of ${rateBps / 1e6} Mbit/s`)
  if (burstLoss !== undefined) words.push(burstLoss === null ? "no bursts of loss" : describeBursts(burstLoss))
  if (queue !== undefined) words.push(`a ${queue.kind} queue of ${queue.packetsMax} packets`)
  for (const [key, value] of Object.entries(others)) {
    const name = PPM_WORDS[key as keyof typeof PPM_WORDS]
    if (name === undefined) words.push(`${key} ${typeof value === "object" ? JSON.stringify(value) : value}`)
    else if (value !== 0) words.push(`${Number(value) / 10_000} % ${name}`)
  }
  return words.length === 0 ? "no change" : words.join(", ")
}

const PPM_WORDS = {
  lossPpm: "loss",
  corruptPpm: "corruption",
  duplicatePpm: "duplication",
  truncatePpm: "truncation"
} as const

/** Stationary loss and mean length of the bad state of a Gilbert-Elliott model. */
const describeBursts = ({ goodToBadPpm, badToGoodPpm, lossBadPpm, lossGoodPpm }: GilbertElliott): string => {
  const bad = goodToBadPpm / (goodToBadPpm + badToGoodPpm)
  const loss = (bad * lossBadPpm + (1 - bad) * lossGoodPpm) / 10_000
  return `${loss.toPrecision(2)} % loss in bursts (bad spells of ${Math.round(1e6 / badToGoodPpm)} packets)`
}

const seconds = (ms: number): string => `${ms / 1000} s`
