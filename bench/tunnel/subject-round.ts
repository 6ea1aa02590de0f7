/** One round of one subject: the tunnel comes up on a fresh pair, every figure is taken once, everything goes away again. */

import { floorProgram } from "../floor/floor.ts"
import { run } from "../lab/command.ts"
import { LabError } from "../lab/lab-error.ts"
import type { Child } from "../net/child.ts"
import { hostIdleRatio } from "../net/host-idle.ts"
import { makePair, type Pair } from "../net/pair.ts"
import { transfer } from "../net/udp-program.ts"
import type { Peer, Tunnel } from "../peers/peer.ts"
import type { FigureName, Figures, TunnelRound } from "./comparison.ts"
import { type CpuSeconds, cpuSecondsBetween, cpuSecondsOf, totalCpuSeconds } from "./cpu-time.ts"
import { measureTcp, startServer } from "./iperf3.ts"
import { type RateProbe, searchRate } from "./rate-search.ts"
import { measureRoundTrips, warmUp } from "./round-trip.ts"

export interface RoundOptions {
  /** Whole seconds of each TCP test. */
  readonly seconds: number
  /** Of how many streams the TCP tests are. */
  readonly streams: ReadonlyArray<number>
  /** Of each probe of the UDP search, and how many there are at most. */
  readonly probeSeconds: number
  readonly probesMax: number
  readonly udpBytes: ReadonlyArray<number>
  /** Of pinging before anything is measured, see `warmUp`. */
  readonly warmUpSeconds: number
  /** Of pinging, idle and under load. */
  readonly pingSeconds: number
  /** UDP figures of earlier rounds, around which to search. */
  readonly known: Figures
  readonly signal?: AbortSignal | undefined
}

const LOSS_RATIO_MAX = 0.01
const SEARCH_START_PER_SECOND = 100_000
/** A TCP stream has found its rate after this. */
const LOAD_AHEAD_MS = 300
const REACHABLE_TIMEOUT_MS = 15_000

export const measureRound = async (
  peer: Peer,
  options: RoundOptions
): Promise<{ readonly round: TunnelRound; readonly mtuBytes: number | undefined }> => {
  const sheet = new Sheet(await hostIdleRatio())
  let pair: Pair | undefined
  let tunnel: Tunnel | undefined
  let server: Child | undefined
  try {
    pair = await makePair(`tunnel benchmark: ${peer.name}`)
    tunnel = await peer.start(pair)
    await reachable(pair, tunnel)
    server = await startServer(pair.b)
    await new Measurement(pair, tunnel, options, sheet).all()
  } catch (error) {
    options.signal?.throwIfAborted()
    if (!(error instanceof LabError)) throw error
    sheet.failed["start"] = error.message
  } finally {
    await server?.stop()
    await tunnel?.stop()
    await pair?.close()
  }
  return { round: sheet, mtuBytes: tunnel?.mtuBytes }
}

/** The round as it is being written. */
class Sheet implements TunnelRound {
  readonly idleRatio: number
  readonly figures: Record<FigureName, number> = {}
  readonly failed: Record<FigureName, string> = {}
  readonly cpu: Record<string, CpuSeconds & { readonly wallSeconds: number }> = {}
  readonly udpProbes: Record<FigureName, ReadonlyArray<RateProbe>> = {}
  readonly retransmits: Record<FigureName, number> = {}

  constructor(idleRatio: number) {
    this.idleRatio = idleRatio
  }
}

/** Waits until a ping comes back: handshakes and routes take their time. */
export const reachable = async (pair: Pair, tunnel: Tunnel): Promise<void> => {
  const deadline = performance.now() + REACHABLE_TIMEOUT_MS
  const ping = [...pair.a.enter, "ping", "-n", "-c", "1", "-W", "1", tunnel.addresses.b]
  for (;;) {
    try {
      await run(ping)
      return
    } catch (error) {
      if (performance.now() > deadline) {
        throw new LabError("failed", `no ping came back through the tunnel within ${REACHABLE_TIMEOUT_MS / 1000} s`)
      }
      if (error instanceof LabError && error.reason === "missing") throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

class Measurement {
  private readonly pair: Pair
  private readonly tunnel: Tunnel
  private readonly options: RoundOptions
  private readonly sheet: Sheet

  constructor(pair: Pair, tunnel: Tunnel, options: RoundOptions, sheet: Sheet) {
    this.pair = pair
    this.tunnel = tunnel
    this.options = options
    this.sheet = sheet
  }

  async all(): Promise<void> {
    const { signal, warmUpSeconds } = this.options
    await this.take("warmUp", () => warmUp(this.pair.a, this.tunnel.addresses.b, warmUpSeconds, signal))
    await this.roundTrips("rttIdle")
    for (const streams of this.options.streams) {
      for (const backward of [false, true]) await this.tcp(streams, backward)
    }
    for (const bytes of this.options.udpBytes) await this.udp(bytes)
    await this.loadedRoundTrips()
  }

  private async tcp(streams: number, backward: boolean): Promise<void> {
    const name = `tcp${streams}${backward ? "Backward" : "Forward"}`
    const { seconds, signal } = this.options
    await this.take(name, async () => {
      const to = this.tunnel.addresses.b
      const rate = await measureTcp({ from: this.pair.a, to, streams, backward, seconds, signal })
      if (rate.retransmits !== undefined) this.sheet.retransmits[name] = rate.retransmits
      this.sheet.figures[name] = rate.bitsPerSecond
      return rate.bytes
    })
  }

  private async roundTrips(name: string): Promise<void> {
    await this.take(name, async () => {
      const { pingSeconds, signal } = this.options
      const times = await measureRoundTrips(this.pair.a, this.tunnel.addresses.b, pingSeconds, signal)
      this.sheet.figures[`${name}P50`] = times.p50Us
      this.sheet.figures[`${name}P99`] = times.p99Us
    })
  }

  /** The same beside a TCP stream in the same direction, which fills the queues in front of the tunnel. */
  private async loadedRoundTrips(): Promise<void> {
    const { pingSeconds, signal } = this.options
    const seconds = Math.ceil(pingSeconds + LOAD_AHEAD_MS / 1000 + 0.5)
    const to = this.tunnel.addresses.b
    const load = measureTcp({ from: this.pair.a, to, streams: 1, backward: false, seconds, signal }).then(
      () => undefined,
      (error: Error) => error
    )
    await new Promise((resolve) => setTimeout(resolve, LOAD_AHEAD_MS))
    await this.roundTrips("rttLoaded")
    const broken = await load
    if (broken !== undefined) this.sheet.failed["rttLoaded"] = `the load failed: ${broken.message}`
  }

  /**
   * UDP by the floor's sender and receiver: iperf3 itself loses datagrams above some 60,000 a second on the bare path, which is less
   * than some tunnels carry.
   */
  private async udp(bytes: number): Promise<void> {
    const name = `udp${bytes}`
    const { known, probeSeconds, probesMax, signal } = this.options
    await this.take(name, async () => {
      const program = await floorProgram("udp-floor")
      const probe = async (offeredPerSecond: number): Promise<RateProbe> => {
        signal?.throwIfAborted()
        const { sent, received } = await transfer({
          sender: [program, "send", "--mode", "sendto"],
          receiver: [program, "recv", "--mode", "drain"],
          enterSender: this.pair.a.enter,
          enterReceiver: this.pair.b.enter,
          address: this.tunnel.addresses.b,
          sizeBytes: bytes,
          seconds: probeSeconds,
          packetsPerSecond: Math.round(offeredPerSecond)
        })
        const lossRatio = sent.packets === 0 ? 1 : Math.max(0, 1 - received.packets / sent.packets)
        return { offeredPerSecond, sentPerSecond: sent.packets / sent.seconds, lossRatio }
      }
      const search =
        known[name] === undefined
          ? { startPerSecond: SEARCH_START_PER_SECOND, growth: 2 }
          : { startPerSecond: known[name] * 0.95, growth: 1.3 }
      const found = await searchRate({ ...search, probe, probesMax, lossRatioMax: LOSS_RATIO_MAX })
      this.sheet.udpProbes[name] = found.probes
      if (found.best === undefined) {
        const least = Math.round(Math.min(...found.probes.map((one) => one.sentPerSecond)))
        throw new LabError("failed", `more than 1 % was lost at every rate that was tried, down to ${least} packets/s`)
      }
      this.sheet.figures[name] = found.best.sentPerSecond * (1 - found.best.lossRatio)
    })
  }

  /** Takes a figure with the CPU time meanwhile; a failure is written down and does not stop the others. */
  private async take(name: string, measure: () => Promise<number | void>): Promise<void> {
    this.options.signal?.throwIfAborted()
    const before = cpuSecondsOf(this.tunnel.processes)
    const startMs = performance.now()
    try {
      const bytes = await measure()
      const used = cpuSecondsBetween(before, cpuSecondsOf(this.tunnel.processes))
      this.sheet.cpu[name] = { ...used, wallSeconds: (performance.now() - startMs) / 1000 }
      if (name === "tcp1Forward" && bytes !== undefined && bytes > 0 && this.tunnel.processes.length > 0) {
        this.sheet.figures["cpuPerGigabyte"] = totalCpuSeconds(used) / (bytes / 1e9)
      }
    } catch (error) {
      this.options.signal?.throwIfAborted()
      if (!(error instanceof LabError)) throw error
      this.sheet.failed[name] = error.message
    }
  }
}
