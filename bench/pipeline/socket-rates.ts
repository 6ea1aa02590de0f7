/**
 * The secure receive pipeline over real sockets: a process that seals and sends as fast as it can, one that receives, opens and dispatches;
 * beside C programs that only send and receive datagrams of the same size.
 */

import { fileURLToPath } from "node:url"
import { SEALED_OVERHEAD_BYTES } from "@horizon/core/wire/header.ts"
import { nativeMissing } from "@horizon/real/native.ts"
import { LabError } from "../lab/lab-error.ts"
import { type MeasuredPairings, measurePairings, type Pairing, type PairingsOptions } from "../net/pairings.ts"
import { FLOOR_RECEIVERS, FLOOR_SENDERS, type UdpProgram } from "../net/udp-program.ts"

/** How datagrams are sent: many in one piece, or each by itself. */
export type SendingKind = "gso" | "plain"

const session = (name: string, file: string, ...args: ReadonlyArray<string>): UdpProgram => ({
  name,
  command: async () => {
    const missing = nativeMissing()
    if (missing !== undefined) throw new LabError("missing", missing)
    return [process.execPath, fileURLToPath(new URL(file, import.meta.url)), ...args]
  }
})

export const SESSION_RECEIVER = session("session", "./session-receiver.ts")
const SESSION_SENDERS: Readonly<Record<SendingKind, UdpProgram>> = {
  gso: session("session-gso", "./session-sender.ts"),
  plain: session("session-plain", "./session-sender.ts", "--offload", "off")
}

const floorSender = (kind: SendingKind): UdpProgram =>
  FLOOR_SENDERS.find(({ name }) => name === (kind === "gso" ? "c-gso" : "c-sendto"))!

/** Receivers that do nothing but receive. */
export const PIPELINE_FLOORS = FLOOR_RECEIVERS.filter(({ name }) => name !== "c-recvfrom")

/** The sender behind which a receiver is measured. */
export const senderFor = (receiver: string, kind: SendingKind): UdpProgram =>
  receiver === SESSION_RECEIVER.name ? SESSION_SENDERS[kind] : floorSender(kind)

/** Datagrams that carry so much payload. */
export const datagramBytes = (payloadBytes: number): number => payloadBytes + SEALED_OVERHEAD_BYTES

export const measureSocketPipeline = (
  payloadsBytes: ReadonlyArray<number>,
  kinds: ReadonlyArray<SendingKind>,
  options: PairingsOptions
): Promise<MeasuredPairings> => {
  const pairings = payloadsBytes.flatMap((payloadBytes) =>
    kinds.flatMap((kind) =>
      [SESSION_RECEIVER, ...PIPELINE_FLOORS].map((receiver): Pairing => {
        const sender = senderFor(receiver.name, kind)
        return { path: "loopback", sizeBytes: datagramBytes(payloadBytes), sender, receiver }
      })
    )
  )
  return measurePairings(pairings, options)
}
