/** Issues tickets: the member's key, the device's proof, the server and the rights decide. */

import type { CallingMember } from "@horizon/core/api/auth.ts"
import { toBase64Url } from "@horizon/core/api/base64url.ts"
import { problem } from "@horizon/core/api/problem.ts"
import { possessionProof } from "@horizon/core/api/proof.ts"
import type { TicketAnswer } from "@horizon/core/api/ticket.ts"
import { assert } from "@horizon/core/assert.ts"
import { deviceId } from "@horizon/core/crypto/identity.ts"
import { randomBytes } from "@horizon/core/port/entropy.ts"
import { encodeTicket, TICKET_ID_BYTES } from "@horizon/core/wire/ticket.ts"
import { Effect } from "effect"
import { refuseTicket, refuseTime, ticketExpiryMs, ticketRights } from "./decisions.ts"
import type { Answer, BrokerParts } from "./parts.ts"
import { toHex } from "./record-id.ts"
import { serverEntry } from "./server-list.ts"

export interface TicketWish {
  readonly serverId: string
  readonly deviceKey: Uint8Array
  readonly signedMs: number
  readonly proof: Uint8Array
}

export const issueTicket = (
  parts: BrokerParts,
  member: CallingMember["Service"],
  wish: TicketWish
): Answer<TicketAnswer> =>
  Effect.gen(function* () {
    const { crypto, config, identity, keys, servers, trace } = parts
    const nowMs = parts.clock.wallMs()
    const skew = refuseTime(wish.signedMs, nowMs)
    if (skew !== undefined) return yield* Effect.fail(skew)
    const proved = possessionProof({ ...wish, personalKeySha256: member.keySha256 })
    if (!crypto.ed25519Verify(wish.deviceKey, proved, wish.proof)) {
      return yield* Effect.fail(
        problem("proof-invalid", "The proof is not the device key's signature over this request and personal key.")
      )
    }
    const server = yield* servers.byId(wish.serverId)
    const refusal = refuseTicket(server, member.rights)
    if (refusal !== undefined) return yield* Effect.fail(refusal)
    assert(server !== undefined, "A ticket for an unknown server is refused.")

    const device = deviceId(crypto, wish.deviceKey)
    const binding = { keyId: member.keyId, deviceId: device, publicKey: toBase64Url(wish.deviceKey) }
    if (!(yield* keys.bindDevice(binding, member.devicesMax, nowMs))) {
      return yield* Effect.fail(
        problem(
          "device-limit",
          `The personal key ${member.keyPrefix}… is in use on ${member.devicesMax} devices, as many as it may be.`
        )
      )
    }
    const ticketId = randomBytes(parts.random, TICKET_ID_BYTES)
    const expiresMs = ticketExpiryMs(nowMs, config.ticketLifetimeMs, member.keyExpiresMs)
    const rights = ticketRights(member.rights, server.record.kind)
    const row = {
      id: toHex(ticketId),
      personalKeyId: member.keyId,
      deviceId: device,
      serverId: wish.serverId,
      issuedMs: nowMs,
      expiresMs
    }
    if (!(yield* parts.tickets.add(row))) {
      return yield* Effect.fail(problem("credential-revoked", `The personal key ${member.keyPrefix}… was revoked.`))
    }
    yield* keys.touchPersonalKey(member.keyId, nowMs)
    const ticket = encodeTicket(crypto, identity.seed, {
      ticketId,
      issuedMs: nowMs,
      expiresMs,
      devicePublicKey: wish.deviceKey,
      serverPublicKey: server.record.publicKey,
      user: member.user,
      tenant: member.tenant,
      rights
    })
    trace("broker.ticket-issued", { ticketId: row.id, serverId: wish.serverId, deviceId: device, expiresMs })
    return {
      ticket,
      ticketId,
      expiresMs,
      rights,
      user: member.user,
      tenant: member.tenant,
      server: serverEntry(server, onlineSince(parts, nowMs)),
      brokerKey: identity.publicKey,
      brokerNowMs: nowMs
    }
  })

const onlineSince = (parts: BrokerParts, nowMs: number): number => nowMs - parts.config.serverStaleMs
