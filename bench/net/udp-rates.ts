/**
 * How many UDP datagrams a second each way of receiving and sending moves, measured in turn in one run: every pairing once, then every
 * pairing again, so that a busy moment of the host does not fall on one of them alone. Figures are medians of the rounds; ratios are to the C
 * program that uses the same means.
 */

import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { missingTool } from "./command.ts"
import { hostIdleRatio } from "./host-idle.ts"
import { median } from "./median.ts"
import { makePair, pairMissing } from "./pair.ts"
import { FLOOR_RECEIVERS, FLOOR_SENDERS, type Transfer, transfer, type UdpProgram } from "./udp-program.ts"

/** Over the host's own loopback, or over a veth pair between two network namespaces. */
export type UdpPath = "loopback" | "veth"

export interface UdpRatesOptions {
  readonly paths?: ReadonlyArray<UdpPath>
  readonly sizesBytes?: ReadonlyArray<number>
  readonly rounds?: number
  /** Of sending, for each measurement. */
  readonly seconds?: number
  /** Measured besides the C floor's and `node:dgram`'s. */
  readonly receivers?: ReadonlyArray<UdpProgram>
  readonly senders?: ReadonlyArray<UdpProgram>
  readonly signal?: AbortSignal
  readonly onProgress?: (sentence: string) => void
}

/** One pairing of a sender with a receiver, medians of the rounds. */
export interface UdpRate {
  readonly path: UdpPath
  readonly sizeBytes: number
  readonly sender: string
  readonly receiver: string
  /** Datagrams a second that the sender handed to the kernel, and that the receiver got. */
  readonly sentPerSecond: number
  readonly receivedPerSecond: number
  /** CPU time of each process by datagram, in nanoseconds. */
  readonly senderCpuNs: number
  readonly receiverCpuNs: number
  /** Sent and not received, 0 to 1. */
  readonly lossRatio: number
  /** The receiver's rate by that of the C receiver of the same means, from the same sender. */
  readonly receiveRatio?: number
  /** The sender's rate by that of the C sender of the same means, to the same receiver. */
  readonly sendRatio?: number
  readonly rounds: number
}

export interface UdpRates {
  readonly schema: "horizon-udp-rates-1"
  readonly seconds: number
  /** Median over the rounds of how much of the host was free before each, 0 to 1. */
  readonly idleRatio: number
  readonly rates: ReadonlyArray<UdpRate>
  /** What could not be measured and why, by program or path. */
  readonly missing: Readonly<Record<string, string>>
}

const program = (file: string): ReadonlyArray<string> => [
  process.execPath,
  fileURLToPath(new URL(file, import.meta.url))
]

const DGRAM_RECEIVER: UdpProgram = {
  name: "node-dgram",
  command: async () => program("./dgram-receiver.ts"),
  floor: "c-recvmmsg"
}
const DGRAM_SENDER: UdpProgram = {
  name: "node-dgram",
  command: async () => program("./dgram-sender.ts"),
  floor: "c-sendto"
}

/** Every receiver is measured behind these senders. */
const STEADY_SENDERS = ["c-sendto", "c-gso"]
/** Every other sender is measured before the receiver that takes the most of what it sends. */
const steadyReceiver = (sender: UdpProgram): string => (sender.floor === "c-gso" ? "c-gro" : "c-drain")

interface Pairing {
  readonly path: UdpPath
  readonly sizeBytes: number
  readonly sender: UdpProgram
  readonly receiver: UdpProgram
}

interface Sample {
  readonly sentPerSecond: number
  readonly receivedPerSecond: number
  readonly senderCpuNs: number
  readonly receiverCpuNs: number
  readonly lossRatio: number
}

export const measureUdpRates = async (options: UdpRatesOptions = {}): Promise<UdpRates> => {
  const { rounds = 3, seconds = 1, signal, onProgress = () => {} } = options
  const missing: Record<string, string> = {}
  const pairings = pairingsOf(options, missing)
  const samples = new Map<Pairing, Array<Sample>>(pairings.map((pairing) => [pairing, []]))
  const idle: Array<number> = []
  const places = new Places()
  try {
    for (let round = 0; round < rounds; round++) {
      idle.push(await hostIdleRatio())
      for (const pairing of pairings) {
        signal?.throwIfAborted()
        const { sender, receiver, path, sizeBytes } = pairing
        if (missing[sender.name] !== undefined || missing[receiver.name] !== undefined) continue
        onProgress(`round ${round + 1} of ${rounds}: ${sender.name} to ${receiver.name}, ${sizeBytes} bytes, ${path}`)
        const order = await orderOf(pairing, seconds, places, missing)
        if (order !== undefined) samples.get(pairing)!.push(await sampleOf(order))
      }
    }
  } finally {
    await places.close()
  }
  return { schema: "horizon-udp-rates-1", seconds, idleRatio: median(idle), rates: ratesOf(samples), missing }
}

const pairingsOf = (options: UdpRatesOptions, missing: Record<string, string>): ReadonlyArray<Pairing> => {
  const senders = [...FLOOR_SENDERS, DGRAM_SENDER, ...(options.senders ?? [])]
  const receivers = [...FLOOR_RECEIVERS, DGRAM_RECEIVER, ...(options.receivers ?? [])]
  const pairings: Array<Pairing> = []
  for (const path of options.paths ?? ["loopback", "veth"]) {
    const reason = path === "veth" ? pairMissing() : undefined
    if (reason !== undefined) {
      missing[path] = reason
      continue
    }
    for (const sizeBytes of options.sizesBytes ?? [200]) {
      for (const sender of senders) {
        for (const receiver of receivers) {
          const wanted = STEADY_SENDERS.includes(sender.name) || receiver.name === steadyReceiver(sender)
          if (wanted) pairings.push({ path, sizeBytes, sender, receiver })
        }
      }
    }
  }
  return pairings
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
      missing[of.name] = (error as Error).message
      return undefined
    }
  }
  const sender = await commandOf(pairing.sender)
  const receiver = await commandOf(pairing.receiver)
  if (sender === undefined || receiver === undefined) return undefined
  const order = { sender, receiver, sizeBytes: pairing.sizeBytes, seconds, ...CPUS }
  if (pairing.path === "loopback") return { ...order, address: "127.0.0.1" }
  const { a, b } = await places.pair()
  return { ...order, address: b.address, enterSender: a.enter, enterReceiver: b.enter }
}

const sampleOf = async (order: Transfer): Promise<Sample> => {
  const { sent, received } = await transfer(order)
  return {
    sentPerSecond: sent.packets / sent.seconds,
    receivedPerSecond: received.seconds > 0 ? received.packets / received.seconds : 0,
    senderCpuNs: cpuNs(sent),
    receiverCpuNs: cpuNs(received),
    lossRatio: sent.packets === 0 ? 1 : Math.max(0, 1 - received.packets / sent.packets)
  }
}

const cpuNs = (result: { userSeconds: number; systemSeconds: number; packets: number }): number =>
  result.packets === 0 ? 0 : ((result.userSeconds + result.systemSeconds) * 1e9) / result.packets

const ratesOf = (samples: ReadonlyMap<Pairing, ReadonlyArray<Sample>>): ReadonlyArray<UdpRate> => {
  const measured = [...samples].filter(([, rounds]) => rounds.length > 0)
  const of = (pairing: Pairing, sender: string, receiver: string): ReadonlyArray<Sample> | undefined =>
    measured.find(
      ([other]) =>
        other.path === pairing.path &&
        other.sizeBytes === pairing.sizeBytes &&
        other.sender.name === sender &&
        other.receiver.name === receiver
    )?.[1]
  return measured.map(([pairing, rounds]) => {
    const { sender, receiver } = pairing
    const receiveFloor = receiver.floor === undefined ? undefined : of(pairing, sender.name, receiver.floor)
    const sendFloor = sender.floor === undefined ? undefined : of(pairing, sender.floor, receiver.name)
    const receivedPerSecond = middle(rounds, "receivedPerSecond")
    const sentPerSecond = middle(rounds, "sentPerSecond")
    return {
      path: pairing.path,
      sizeBytes: pairing.sizeBytes,
      sender: sender.name,
      receiver: receiver.name,
      sentPerSecond,
      receivedPerSecond,
      senderCpuNs: middle(rounds, "senderCpuNs"),
      receiverCpuNs: middle(rounds, "receiverCpuNs"),
      lossRatio: middle(rounds, "lossRatio"),
      ...(receiveFloor === undefined
        ? {}
        : { receiveRatio: receivedPerSecond / middle(receiveFloor, "receivedPerSecond") }),
      ...(sendFloor === undefined ? {} : { sendRatio: sentPerSecond / middle(sendFloor, "sentPerSecond") }),
      rounds: rounds.length
    }
  })
}

const middle = (rounds: ReadonlyArray<Sample>, field: keyof Sample): number => median(rounds.map((one) => one[field]))
