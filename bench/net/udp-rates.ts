/**
 * How many UDP datagrams a second each way of receiving and sending moves: C floors, `node:dgram`, and Horizon's native layer with and without
 * segmentation offload, all with a receiver that does nothing. Ratios are to the C program that uses the same means.
 */

import { fileURLToPath } from "node:url"
import { nativeMissing } from "@horizon/real/native.ts"
import { LabError } from "../lab/lab-error.ts"
import {
  type MeasuredPairings,
  measurePairings,
  type Pairing,
  type PairingSample,
  type PairingsOptions,
  type UdpPath
} from "./pairings.ts"
import { FLOOR_RECEIVERS, FLOOR_SENDERS, type UdpProgram } from "./udp-program.ts"

export interface UdpRatesOptions extends PairingsOptions {
  readonly paths: ReadonlyArray<UdpPath>
  readonly sizesBytes: ReadonlyArray<number>
  /** Those of `RECEIVERS` and `SENDERS` if left out. */
  readonly receivers?: ReadonlyArray<UdpProgram>
  readonly senders?: ReadonlyArray<UdpProgram>
}

const script = (file: string, ...args: ReadonlyArray<string>): ReadonlyArray<string> => [
  process.execPath,
  fileURLToPath(new URL(file, import.meta.url)),
  ...args
]

const native = async (command: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const missing = nativeMissing()
  if (missing !== undefined) throw new LabError("missing", missing)
  return command
}

const OFF = ["--offload", "off"]

/** `floor` is the C program that has the same means. */
export const RECEIVERS: ReadonlyArray<UdpProgram> = [
  ...FLOOR_RECEIVERS,
  { name: "node-dgram", command: async () => script("./dgram-receiver.ts"), floor: "c-recvmmsg" },
  { name: "native-plain", command: () => native(script("./native-receiver.ts", ...OFF)), floor: "c-recvmmsg" },
  { name: "native", command: () => native(script("./native-receiver.ts")), floor: "c-gro" }
]
export const SENDERS: ReadonlyArray<UdpProgram> = [
  ...FLOOR_SENDERS,
  { name: "node-dgram", command: async () => script("./dgram-sender.ts"), floor: "c-sendto" },
  { name: "native-plain", command: () => native(script("./native-sender.ts", ...OFF)), floor: "c-sendmmsg" },
  { name: "native", command: () => native(script("./native-sender.ts")), floor: "c-gso" }
]

/** Every receiver is measured behind these senders. */
export const STEADY_SENDERS = ["c-sendto", "c-gso"] as const
/** Every sender is measured before the receiver that takes the most of what it sends. */
export const steadyReceiver = (sender: UdpProgram): string =>
  sender.name === "c-gso" || sender.floor === "c-gso" ? "c-gro" : "c-drain"

export const measureUdpRates = (options: UdpRatesOptions): Promise<MeasuredPairings> =>
  measurePairings(pairingsOf(options), options)

const pairingsOf = ({ paths, receivers = RECEIVERS, senders = SENDERS, sizesBytes }: UdpRatesOptions) => {
  const steady: ReadonlyArray<string> = STEADY_SENDERS
  const pairings: Array<Pairing> = []
  for (const path of paths) {
    for (const sizeBytes of sizesBytes) {
      for (const sender of senders) {
        for (const receiver of receivers) {
          if (steady.includes(sender.name) || receiver.name === steadyReceiver(sender))
            pairings.push({ path, sizeBytes, sender, receiver })
        }
      }
    }
  }
  return pairings
}

/** The samples of one pairing by names, if it was measured. */
export const samplesOf = (
  measured: MeasuredPairings,
  path: UdpPath,
  sizeBytes: number,
  sender: string,
  receiver: string
): ReadonlyArray<PairingSample> | undefined => {
  for (const [pairing, samples] of measured.samples) {
    const same = pairing.path === path && pairing.sizeBytes === sizeBytes
    if (same && pairing.sender.name === sender && pairing.receiver.name === receiver)
      return samples.length === 0 ? undefined : samples
  }
  return undefined
}
