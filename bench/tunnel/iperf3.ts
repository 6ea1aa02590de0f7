/** TCP through a tunnel by iperf3, which everybody knows: a server at one end, a client for each measurement at the other. */

import { missingTool, run } from "../lab/command.ts"
import { LabError } from "../lab/lab-error.ts"
import { Child } from "../net/child.ts"
import type { PairEnd } from "../net/pair.ts"

/** What a client found out. */
export interface TcpRate {
  /** Received, over all streams. */
  readonly bitsPerSecond: number
  readonly bytes: number
  /** Of the sending side; undefined where its kernel does not say. */
  readonly retransmits: number | undefined
}

/** An iperf3 server that takes one test after another. */
export const startServer = async (end: PairEnd): Promise<Child> => {
  const missing = missingTool("iperf3")
  if (missing !== undefined) throw new LabError("missing", missing)
  const child = Child.start({ name: "iperf3 server", command: ["iperf3", "-s", "--forceflush"], enter: end.enter })
  await child.line((line) => line.includes("Server listening"))
  return child
}

export interface TcpTest {
  readonly from: PairEnd
  /** The server's address through the tunnel. */
  readonly to: string
  readonly streams: number
  /** Whether the server sends. */
  readonly backward: boolean
  /** Whole seconds: iperf3 knows no less than one. */
  readonly seconds: number
  readonly signal?: AbortSignal | undefined
}

/** What a test takes beyond its seconds, on a busy machine. */
const SLACK_MS = 8_000

export const measureTcp = async (test: TcpTest): Promise<TcpRate> => {
  const options = { timeoutMs: test.seconds * 1000 + SLACK_MS, signal: test.signal, anyExit: true }
  for (let retries = 0; ; retries++) {
    const said = await run(tcpCommand(test), options)
    // On a busy host the server may still be clearing up after the test before.
    if (retries === BUSY_RETRIES_MAX || !said.includes(SERVER_BUSY)) return readTcp(said)
    await new Promise((resolve) => setTimeout(resolve, BUSY_WAIT_MS))
  }
}

const SERVER_BUSY = "the server is busy running a test"
const BUSY_RETRIES_MAX = 10
const BUSY_WAIT_MS = 100

export const tcpCommand = (test: TcpTest): ReadonlyArray<string> => [
  ...test.from.enter,
  "iperf3",
  "-c",
  test.to,
  "-J",
  "-t",
  String(test.seconds),
  "-P",
  String(test.streams),
  ...(test.backward ? ["-R"] : [])
]

/** Reads the JSON that `iperf3 -J` prints; a `LabError` if the test failed or the text is something else. */
export const readTcp = (text: string): TcpRate => {
  const said = parse(text)
  if (said.error !== undefined) throw new LabError("failed", `iperf3: ${said.error}`)
  const received = said.end?.sum_received
  if (received?.bits_per_second === undefined || received.bytes === undefined) {
    throw new LabError("failed", "iperf3 gave no sum of what was received: its JSON is not that of a TCP test")
  }
  const { bits_per_second: bitsPerSecond, bytes } = received
  return { bitsPerSecond, bytes, retransmits: said.end?.sum_sent?.retransmits }
}

/** The parts of iperf3's answer that are read here. */
interface Answer {
  readonly error?: string
  readonly end?: {
    readonly sum_sent?: { readonly retransmits?: number }
    readonly sum_received?: { readonly bits_per_second?: number; readonly bytes?: number }
  }
}

const parse = (text: string): Answer => {
  try {
    return JSON.parse(text) as Answer
  } catch {
    throw new LabError("failed", `iperf3 did not answer in JSON: ${text.slice(0, 200)}`)
  }
}
