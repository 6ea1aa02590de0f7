/** The load of a soak: TCP as fast as it goes and UDP at a rate, both ways at once, through the tunnel. */

import { floorProgram } from "../floor/floor.ts"
import { run } from "../lab/command.ts"
import { LabError } from "../lab/lab-error.ts"
import type { Child } from "../net/child.ts"
import type { Pair } from "../net/pair.ts"
import { transfer } from "../net/udp-program.ts"
import type { Tunnel } from "../peers/peer.ts"
import { startServer } from "../tunnel/iperf3.ts"

export interface LoadOptions {
  readonly seconds: number
  /** UDP datagrams a second in each direction. */
  readonly packetsPerSecond: number
  readonly payloadBytes: number
  readonly signal?: AbortSignal | undefined
}

/** What a direction came to; forward is from a to b. */
export interface LoadResult {
  readonly tcpBitsPerSecond: { readonly forward: number; readonly backward: number }
  readonly udp: { readonly forward: UdpFlow; readonly backward: UdpFlow }
}

export interface UdpFlow {
  readonly sent: number
  readonly received: number
}

const SLACK_MS = 20_000

/** Rejects with a `LabError` if a flow ends before its time. */
export const runLoad = async (pair: Pair, tunnel: Tunnel, options: LoadOptions): Promise<LoadResult> => {
  let server: Child | undefined
  try {
    server = await startServer(pair.b)
    const [tcp, forward, backward] = await Promise.all([
      tcpBothWays(pair, tunnel, options),
      udpFlow(pair, tunnel, options, "a", "b"),
      udpFlow(pair, tunnel, options, "b", "a")
    ])
    return { tcpBitsPerSecond: tcp, udp: { forward, backward } }
  } finally {
    await server?.stop()
  }
}

const tcpBothWays = async (
  { a }: Pair,
  { addresses }: Tunnel,
  { seconds, signal }: LoadOptions
): Promise<LoadResult["tcpBitsPerSecond"]> => {
  // -i 0: no figures in between, of which an hour has many.
  const command = ["iperf3", "-c", addresses.b, "--bidir", "-J", "-i", "0", "-t", String(seconds)]
  const said = await run([...a.enter, ...command], { timeoutMs: seconds * 1000 + SLACK_MS, signal, anyExit: true })
  return readBothWays(said)
}

/** Reads what `iperf3 --bidir -J` prints. */
export const readBothWays = (text: string): LoadResult["tcpBitsPerSecond"] => {
  let answer: {
    readonly error?: string
    readonly end?: Readonly<Record<string, { readonly bits_per_second?: number }>>
  }
  try {
    answer = JSON.parse(text)
  } catch {
    throw new LabError("failed", `iperf3 did not answer in JSON: ${text.slice(0, 200)}`)
  }
  if (answer.error !== undefined) throw new LabError("failed", `iperf3: ${answer.error}`)
  const forward = answer.end?.["sum_received"]?.bits_per_second
  const backward = answer.end?.["sum_received_bidir_reverse"]?.bits_per_second
  if (forward === undefined || backward === undefined) {
    throw new LabError("failed", "iperf3 gave no sums for both directions; it must be 3.7 or newer")
  }
  return { forward, backward }
}

const udpFlow = async (
  pair: Pair,
  tunnel: Tunnel,
  { packetsPerSecond, payloadBytes, seconds }: LoadOptions,
  from: "a" | "b",
  to: "a" | "b"
): Promise<UdpFlow> => {
  const program = await floorProgram("udp-floor")
  const { sent, received } = await transfer({
    sender: [program, "send", "--mode", "sendto"],
    receiver: [program, "recv", "--mode", "drain"],
    enterSender: pair[from].enter,
    enterReceiver: pair[to].enter,
    address: tunnel.addresses[to],
    sizeBytes: payloadBytes,
    seconds,
    packetsPerSecond,
    settleMs: 500
  })
  return { sent: sent.packets, received: received.packets }
}
