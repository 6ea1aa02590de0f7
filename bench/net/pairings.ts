/**
 * Measures senders against receivers in turn: every pairing once, then every pairing again, so that a busy moment of the host does not fall
 * on one of them alone. What cannot be measured here is named with its reason.
 */

import { availableParallelism } from "node:os"
import { missingTool } from "../lab/command.ts"
import { LabError } from "../lab/lab-error.ts"
import { hostIdleRatio } from "./host-idle.ts"
import { median } from "./median.ts"
import { makePair, pairMissing } from "./pair.ts"
import { type Transfer, transfer, type UdpProgram, type UdpResult } from "./udp-program.ts"

/** Over the host's own loopback, or over a veth pair between two network namespaces. */
export type UdpPath = "loopback" | "veth"

export interface Pairing {
  readonly path: UdpPath
  /** Of each datagram. */
  readonly sizeBytes: number
  readonly sender: UdpProgram
  readonly receiver: UdpProgram
}

/** What one pairing came to in one round. */
export interface PairingSample {
  /** Datagrams a second that the sender handed to the kernel, and that the receiver got. */
  readonly sentPerSecond: number
  readonly receivedPerSecond: number
  /** CPU time of each process by datagram, in nanoseconds. */
  readonly senderCpuNs: number
  readonly receiverCpuNs: number
  /** Sent and not received, 0 to 1. */
  readonly lossRatio: number
}

export interface PairingsOptions {
  readonly rounds: number
  /** Of sending, for each measurement. */
  readonly seconds: number
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((sentence: string) => void) | undefined
}

export interface MeasuredPairings {
  /** Rounds of each pairing; none for one that could not be measured. */
  readonly samples: ReadonlyMap<Pairing, ReadonlyArray<PairingSample>>
  /** Median over the rounds of how much of the host was free before each, 0 to 1. */
  readonly idleRatio: number
  /** What could not be measured and why, by program or path. */
  readonly missing: Readonly<Record<string, string>>
  /** Measurements that went wrong, as sentences. */
  readonly failed: ReadonlyArray<string>
}

export const measurePairings = async (
  pairings: ReadonlyArray<Pairing>,
  options: PairingsOptions
): Promise<MeasuredPairings> => {
  const { rounds, seconds, signal, onProgress = () => {} } = options
  const places = new Places()
  const missing: Record<string, string> = {}
  const samples = new Map<Pairing, Array<PairingSample>>(pairings.map((pairing) => [pairing, []]))
  const idle: Array<number> = []
  const failed: Array<string> = []
  try {
    for (let round = 0; round < rounds; round++) {
      idle.push(await hostIdleRatio())
      for (const pairing of pairings) {
        signal?.throwIfAborted()
        const { sender, receiver, path, sizeBytes } = pairing
        if ([sender.name, receiver.name, path].some((name) => missing[name] !== undefined)) continue
        const what = `${sender.name} to ${receiver.name}, ${sizeBytes} bytes, ${path}`
        onProgress(`round ${round + 1} of ${rounds}: ${what}`)
        const order = await orderOf(pairing, seconds, places, missing)
        if (order === undefined) continue
        try {
          samples.get(pairing)!.push(await sampleOf(order))
        } catch (error) {
          if (!(error instanceof LabError)) throw error
          failed.push(`round ${round + 1}, ${what}: ${error.message}`)
        }
      }
    }
  } finally {
    await places.close()
  }
  return { samples, idleRatio: median(idle), missing, failed }
}

/** Sender and receiver each on a core of their own where there are two and the system can be told so: otherwise its choice changes from run to run. */
const CPUS = availableParallelism() >= 2 && missingTool("taskset") === undefined ? { senderCpu: 0, receiverCpu: 1 } : {}

/** The namespaces, made when the first measurement needs them. */
class Places {
  private made: ReturnType<typeof makePair> | undefined

  pair(): ReturnType<typeof makePair> {
    this.made ??= makePair("UDP rates")
    return this.made
  }

  async close(): Promise<void> {
    const pair = await this.made?.catch(() => undefined)
    await pair?.close()
  }
}

const orderOf = async (
  pairing: Pairing,
  seconds: number,
  places: Places,
  missing: Record<string, string>
): Promise<Transfer | undefined> => {
  const commandOf = async (of: UdpProgram): Promise<ReadonlyArray<string> | undefined> => {
    try {
      return await of.command()
    } catch (error) {
      if (!(error instanceof LabError)) throw error
      missing[of.name] = error.message
      return undefined
    }
  }
  const none = missingTool("setpriv") ?? (pairing.path === "veth" ? pairMissing() : undefined)
  if (none !== undefined) {
    missing[pairing.path] = none
    return undefined
  }
  const sender = await commandOf(pairing.sender)
  const receiver = await commandOf(pairing.receiver)
  if (sender === undefined || receiver === undefined) return undefined
  const order = { sender, receiver, sizeBytes: pairing.sizeBytes, seconds, ...CPUS }
  if (pairing.path === "loopback") return { ...order, address: "127.0.0.1" }
  const { a, b } = await places.pair()
  return { ...order, address: b.address, enterSender: a.enter, enterReceiver: b.enter }
}

const sampleOf = async (order: Transfer): Promise<PairingSample> => {
  const { sent, received } = await transfer(order)
  return {
    sentPerSecond: sent.packets / sent.seconds,
    // A receiver that has taken all at once has no seconds of its own.
    receivedPerSecond: received.packets / (received.seconds > 0 ? received.seconds : sent.seconds),
    senderCpuNs: cpuNs(sent),
    receiverCpuNs: cpuNs(received),
    lossRatio: sent.packets === 0 ? 1 : Math.max(0, 1 - received.packets / sent.packets)
  }
}

const cpuNs = (result: UdpResult): number =>
  result.packets === 0 ? 0 : ((result.userSeconds + result.systemSeconds) * 1e9) / result.packets
