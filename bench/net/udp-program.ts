/**
 * Programs that receive or send UDP datagrams and count them. A C floor, `node:dgram` and Horizon's native layer are told the same on their
 * command lines and answer with the same JSON line, so any sender can be measured against any receiver.
 *
 * Receiver: `--bind ADDRESS:PORT`; says `{"ready":true,"port":N}` when it is bound, counts until SIGTERM, then prints its result.
 * Sender: `--to ADDRESS:PORT --size BYTES --seconds S [--packets N] [--rate PPS]`; prints its result when it is done.
 */

import { floorProgram } from "../floor/floor.ts"
import { LabError } from "../lab/lab-error.ts"
import { Child } from "./child.ts"

/** The one line of JSON that every program ends with. */
export interface UdpResult {
  readonly role: "recv" | "send"
  readonly mode: string
  readonly packets: number
  readonly bytes: number
  /** Sender: from start to end. Receiver: from its first datagram to its last. */
  readonly seconds: number
  /** CPU time of the process; the receiver's from its first datagram on. */
  readonly userSeconds: number
  readonly systemSeconds: number
  /** Receiver: what the kernel threw away for want of buffer (a burst that GRO kept together counts as one). Sender: refused by the kernel. */
  readonly drops: number
}

/** One way to receive or send. */
export interface UdpProgram {
  /** Unique among receivers, and among senders: `c-drain`, `node-dgram`. */
  readonly name: string
  /** The program and its own arguments; those of the measurement are added. Rejects with a `LabError` if it cannot be had. */
  readonly command: () => Promise<ReadonlyArray<string>>
  /** Name of the C program that does the same work with the same means, to be compared with. */
  readonly floor?: string
}

const floor =
  (role: "recv" | "send") =>
  (mode: string): UdpProgram => ({
    name: `c-${mode}`,
    command: async () => [await floorProgram("udp-floor"), role, "--mode", mode]
  })

export const FLOOR_RECEIVERS: ReadonlyArray<UdpProgram> = ["recvfrom", "recvmmsg", "drain", "gro"].map(floor("recv"))
export const FLOOR_SENDERS: ReadonlyArray<UdpProgram> = ["sendto", "sendmmsg", "gso"].map(floor("send"))

/** One transfer from one program to another. */
export interface Transfer {
  readonly sender: ReadonlyArray<string>
  readonly receiver: ReadonlyArray<string>
  /** Commands that put the programs where they shall run; none on loopback. */
  readonly enterSender?: ReadonlyArray<string>
  readonly enterReceiver?: ReadonlyArray<string>
  /** CPUs of the two programs; the system's choice if left out. */
  readonly senderCpu?: number
  readonly receiverCpu?: number
  /** Address of the receiver. */
  readonly address: string
  readonly sizeBytes: number
  readonly seconds: number
  /** Sends no more than this many. */
  readonly packetsMax?: number
  /** Offered rate; as fast as it goes if left out. */
  readonly packetsPerSecond?: number
  /** What is still on its way when the sender ends gets this long; 60 ms if left out. */
  readonly settleMs?: number
}

export interface TransferResult {
  readonly sent: UdpResult
  readonly received: UdpResult
}

const SETTLE_MS = 60
const END_TIMEOUT_MS = 10_000

export const transfer = async (order: Transfer): Promise<TransferResult> => {
  const receiver = Child.start({
    name: `receiver ${order.receiver.join(" ")}`,
    command: [...order.receiver, "--bind", `${order.address}:0`],
    enter: order.enterReceiver ?? [],
    ...(order.receiverCpu === undefined ? {} : { cpu: order.receiverCpu })
  })
  let sender: Child | undefined
  try {
    const { port } = JSON.parse(await receiver.line((line) => line.startsWith('{"ready"'))) as { port: number }
    sender = Child.start({
      name: `sender ${order.sender.join(" ")}`,
      command: [...order.sender, ...sendArguments(order, port)],
      enter: order.enterSender ?? [],
      ...(order.senderCpu === undefined ? {} : { cpu: order.senderCpu })
    })
    await sender.finished(order.seconds * 1000 + END_TIMEOUT_MS)
    await new Promise((resolve) => setTimeout(resolve, order.settleMs ?? SETTLE_MS))
    await receiver.stop()
    return { sent: parseUdpResult(sender), received: parseUdpResult(receiver) }
  } finally {
    await sender?.stop()
    await receiver.stop()
  }
}

const sendArguments = (order: Transfer, port: number): ReadonlyArray<string> => [
  "--to",
  `${order.address}:${port}`,
  "--size",
  String(order.sizeBytes),
  "--seconds",
  String(order.seconds),
  ...(order.packetsMax === undefined ? [] : ["--packets", String(order.packetsMax)]),
  ...(order.packetsPerSecond === undefined ? [] : ["--rate", String(order.packetsPerSecond)])
]

const parseUdpResult = (child: Child): UdpResult => {
  const line = child.lastLine()
  if (!line.startsWith('{"role"')) {
    throw new LabError("failed", `${child.name} ended without a result: ${child.said || "it said nothing"}`)
  }
  return JSON.parse(line) as UdpResult
}
