/** How a member gets a ticket (core/wire/ticket.ts): personal key, device key, proof that the device has it, and the server wanted. */

import { Schema } from "effect"
import { bytesExactly, KeyId, PublicKey, Rights, Signature, TimeMs } from "./scalar.ts"
import { ServerEntry } from "./server.ts"

export const TicketRequest = Schema.Struct({
  serverId: KeyId,
  /** Ed25519 key of the device. */
  deviceKey: PublicKey,
  /** When the device signed, by its own clock. */
  signedMs: TimeMs,
  /** The device key's signature over `possessionProof` (proof.ts). */
  proof: Signature
})

export const TicketAnswer = Schema.Struct({
  /** The ticket as it goes into the handshake, base64url. */
  ticket: Schema.Uint8ArrayFromBase64Url,
  ticketId: bytesExactly(16),
  expiresMs: TimeMs,
  rights: Rights,
  user: Schema.String,
  tenant: Schema.String,
  /** The server as of now: its address may have changed since it was listed. */
  server: ServerEntry,
  brokerKey: PublicKey,
  brokerNowMs: TimeMs
})
export type TicketAnswer = typeof TicketAnswer.Type
