/**
 * The soak: gateway and client as shipped, at full rate for minutes. What they hold, what they count and what they say is watched all the
 * time; nothing is judged here.
 */

import type { TraceEventLine } from "@horizon/real/trace.ts"
import { LabError } from "../lab/lab-error.ts"
import { hostIdleRatio } from "../net/host-idle.ts"
import { makePair, type Pair } from "../net/pair.ts"
import { type HorizonTunnel, type HorizonWatch, startHorizon, WIDE_MTU_BYTES } from "../peers/horizon.ts"
import { reachable } from "../tunnel/subject-round.ts"
import { dropsBetween, type KernelDrops, readKernelDrops } from "./kernel-drops.ts"
import { type LoadResult, runLoad } from "./load.ts"
import { NodeFigures, type Snapshot } from "./node-figures.ts"
import { type Holding, ProcessWatch } from "./process-watch.ts"

export interface SoakOptions {
  readonly seconds: number
  /** UDP datagrams a second in each direction, beside the TCP streams. */
  readonly packetsPerSecond: number
  /** How often processes are looked at, and nodes write down their figures. */
  readonly sampleSeconds: number
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: (sentence: string) => void
}

export interface SoakOutcome {
  readonly idleRatio: number
  readonly load: LoadResult
  /** By node: broker, gateway, client. */
  readonly holdings: ReadonlyMap<string, ReadonlyArray<Holding>>
  /** Of gateway and client, in the order of time; the last are from after the load. */
  readonly figures: Readonly<Record<SoakNode, ReadonlyArray<Snapshot>>>
  readonly kernelDrops: KernelDrops
  /** Error lines in logs, nodes that ended, traces that are not whole; as sentences. */
  readonly troubles: ReadonlyArray<string>
  /** Sessions that the client has established: more than one means that one was lost. */
  readonly sessions: number
}

export type SoakNode = "gateway" | "client"

const UDP_PAYLOAD_BYTES = 200
/** Troubles that are kept: the first ones tell why. */
const TROUBLES_MAX = 20

/** Rejects with a `LabError` where it cannot be done, with the signal's reason if it is stopped; leaves nothing behind. */
export const runSoak = async (options: SoakOptions): Promise<SoakOutcome> => {
  const { onProgress = () => {}, seconds, signal } = options
  const record = new SoakRecord(options)
  const idleRatio = await hostIdleRatio()
  const pair = await makePair("soak")
  let tunnel: HorizonTunnel | undefined
  // The programs that load the tunnel know nothing of signals: they end with their namespaces.
  const stop = (): void => void pair.close()
  signal?.addEventListener("abort", stop)
  try {
    tunnel = await startHorizon(pair, WIDE_MTU_BYTES, record)
    await reachable(pair, tunnel)
    record.watch(tunnel)
    // The first snapshots are from before the load.
    await pause((options.sampleSeconds + 0.5) * 1000)
    const before = await kernelDrops(pair)
    onProgress(`${seconds} s of TCP and UDP both ways`)
    const ticker = setInterval(() => onProgress(record.describe()), PROGRESS_MS)
    const { packetsPerSecond } = options
    const load = await runLoad(pair, tunnel, {
      seconds,
      packetsPerSecond,
      payloadBytes: UDP_PAYLOAD_BYTES,
      signal
    }).finally(() => clearInterval(ticker))
    // What was on its way has arrived, both have written down their last figures, and the next ones, without which those do not count.
    await pause((options.sampleSeconds * 3 + 0.5) * 1000)
    const after = await kernelDrops(pair)
    return { idleRatio, load, kernelDrops: dropsBetween(before, after), ...record.result() }
  } catch (error) {
    signal?.throwIfAborted()
    const [trouble] = record.result().troubles
    if (error instanceof LabError && trouble !== undefined)
      throw new LabError(error.reason, `${error.message} (${trouble})`)
    throw error
  } finally {
    signal?.removeEventListener("abort", stop)
    record.end()
    await tunnel?.stop()
    await pair.close()
  }
}

const PROGRESS_MS = 10_000

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const kernelDrops = async ({ a, b }: Pair): Promise<KernelDrops> => ({
  ...(await readKernelDrops(a, "gateway's host")),
  ...(await readKernelDrops(b, "client's host"))
})

/** Everything that is written down while the soak goes on. */
class SoakRecord implements HorizonWatch {
  readonly sampleSeconds: number
  private readonly figures = new NodeFigures()
  private readonly troubles: Array<string> = []
  private readonly rests = new Map<string, string>()
  private processes: ProcessWatch | undefined
  private sessions = 0

  constructor({ sampleSeconds }: SoakOptions) {
    this.sampleSeconds = sampleSeconds
  }

  watch({ pids }: HorizonTunnel): void {
    this.processes = new ProcessWatch(pids, this.sampleSeconds * 1000)
  }

  end(): void {
    this.processes?.stop()
  }

  readonly onEvent = (node: string, line: TraceEventLine): void => {
    this.figures.take(node, line)
    if (node === "client" && line.kind === "session.established") this.sessions++
  }

  readonly onSaid = (node: string, text: string): void => {
    const lines = ((this.rests.get(node) ?? "") + text).split("\n")
    this.rests.set(node, lines.pop() ?? "")
    for (const line of lines) {
      const trouble = troubleIn(line)
      if (trouble !== undefined) this.onTrouble(`horizon ${node} said: ${trouble}`)
    }
  }

  readonly onTrouble = (sentence: string): void => {
    if (this.troubles.length < TROUBLES_MAX) this.troubles.push(sentence)
  }

  describe(): string {
    const held = [...(this.processes?.holdings ?? [])].map(([node, holdings]) => {
      const mebibytes = (holdings.at(-1)?.rssBytes ?? 0) / 2 ** 20
      return `${node} ${mebibytes.toFixed(0)} MiB`
    })
    return [...held, ...(this.troubles.length > 0 ? [`${this.troubles.length} troubles`] : [])].join(", ")
  }

  result(): Pick<SoakOutcome, "holdings" | "figures" | "troubles" | "sessions"> {
    return {
      holdings: this.processes?.holdings ?? new Map(),
      figures: { gateway: this.figures.of("gateway"), client: this.figures.of("client") },
      troubles: this.troubles,
      sessions: this.sessions
    }
  }
}

/** What is wrong in a line of a node's log; nothing in those that are no errors. */
export const troubleIn = (line: string): string | undefined => {
  if (line.trim() === "") return undefined
  try {
    const { level } = JSON.parse(line) as { readonly level?: string }
    return level === "error" ? line.slice(0, TROUBLE_CHARACTERS_MAX) : undefined
  } catch {
    // Nodes log in JSON: anything else is a last word.
    return line.slice(0, TROUBLE_CHARACTERS_MAX)
  }
}

const TROUBLE_CHARACTERS_MAX = 400
