/**
 * The broker's decisions as pure functions over what was read: the refusal, or nothing. What must hold at the moment of writing is
 * checked once more by the write itself (store/).
 */

import { type Problem, problem } from "@horizon/core/api/problem.ts"
import { SIGNATURE_WINDOW_MS } from "@horizon/core/api/proof.ts"
import type { ServerKind } from "@horizon/core/api/server.ts"
import { RIGHT } from "@horizon/core/wire/ticket.ts"
import type { PersonalKeyRow, RegistrationKeyRow } from "./store/key-store.ts"
import type { ChallengeRow, ServerRow } from "./store/server-store.ts"

/**
 * May this registration key be used by a server that is `known` (registered before under the same public key) or new? A known one
 * may come back with a key that has expired or is used up, because it takes nothing; never with a revoked one.
 */
export const refuseRegistrationKey = (
  key: RegistrationKeyRow | undefined,
  known: boolean,
  nowMs: number
): Problem | undefined => {
  if (key === undefined) {
    return problem(
      "registration-key-unknown",
      "The registration key is not known to this broker. Check it, or ask an administrator for a new one."
    )
  }
  const which = `The registration key ${key.prefix}…`
  if (key.revokedMs !== null) {
    return problem("registration-key-revoked", `${which} was revoked. Ask an administrator for a new one.`)
  }
  if (known) return undefined
  if (key.expiresMs !== null && key.expiresMs <= nowMs) {
    return problem("registration-key-expired", `${which} has expired. Ask an administrator for a new one.`)
  }
  if (key.usesMax !== null && key.uses >= key.usesMax) {
    return problem(
      "registration-key-used-up",
      `${which} has been used by as many servers as it may (${key.usesMax}). Ask an administrator for a new one.`
    )
  }
  return undefined
}

/** May a server with this row, if any, register as `kind`? */
export const refuseServer = (server: ServerRow | undefined, kind: ServerKind): Problem | undefined => {
  if (server === undefined) return undefined
  if (server.revokedMs !== null) {
    return problem(
      "server-revoked",
      `The server ${server.record.name} (${server.record.id}) was revoked by an administrator. Give it a new identity to register it again.`
    )
  }
  if (server.record.kind !== kind && server.deregisteredMs === null) {
    return problem(
      "kind-changed",
      `The server ${server.record.id} is registered as a ${server.record.kind}, not as a ${kind}. Deregister it first, or give it another identity.`
    )
  }
  return undefined
}

export const refuseChallenge = (challenge: ChallengeRow | undefined, nowMs: number): Problem | undefined => {
  if (challenge === undefined) {
    return problem("challenge-unknown", "There is no such challenge, or it was answered already. Register again.")
  }
  return challenge.expiresMs <= nowMs
    ? problem("challenge-expired", "The challenge has expired. Register again and answer sooner.")
    : undefined
}

/** A time in a signature that is too far from the broker's clock. */
export const refuseTime = (signedMs: number, nowMs: number): Problem | undefined =>
  Math.abs(signedMs - nowMs) <= SIGNATURE_WINDOW_MS
    ? undefined
    : problem(
        "clock-skew",
        `The request was signed at ${signedMs} and the broker's clock shows ${nowMs} (Unix ms). Set the clock, or sign with the broker's time.`,
        { brokerNowMs: nowMs }
      )

/** Is the signed request of a known server to be looked at further, before its signature is checked? */
export const refuseSender = (server: ServerRow | undefined): Problem | undefined => {
  if (server === undefined || server.deregisteredMs !== null) {
    return problem("server-unknown", "This server is not registered here. Register it.")
  }
  if (server.revokedMs !== null) {
    return problem("server-revoked", `The server ${server.record.name} was revoked by an administrator.`)
  }
  return undefined
}

/** After the signature was found good: is the counter new? */
export const refuseCounter = (server: ServerRow, counter: number): Problem | undefined =>
  counter > server.counter
    ? undefined
    : problem("counter-replayed", `The counter ${counter} was used before; the next must be above ${server.counter}.`, {
        counter: server.counter
      })

export const refusePersonalKey = (key: PersonalKeyRow | undefined, nowMs: number): Problem | undefined => {
  if (key === undefined) {
    return problem(
      "credential-unknown",
      "The personal key is not known to this broker. Check it for missing characters."
    )
  }
  if (key.revokedMs !== null) {
    return problem(
      "credential-revoked",
      `The personal key ${key.prefix}… was revoked. Ask an administrator for a new one.`
    )
  }
  if (key.expiresMs !== null && key.expiresMs <= nowMs) {
    return problem(
      "credential-expired",
      `The personal key ${key.prefix}… has expired. Ask an administrator for a new one.`
    )
  }
  return undefined
}

/** The rights that a ticket for a server of this kind carries: of the key's rights those that this kind honours. */
export const ticketRights = (keyRights: number, kind: ServerKind): number =>
  keyRights & (kind === "gateway" ? RIGHT.tunnel : RIGHT.game)

/** May a member get a ticket for this server? */
export const refuseTicket = (server: ServerRow | undefined, keyRights: number): Problem | undefined => {
  if (server === undefined || server.deregisteredMs !== null || server.revokedMs !== null) {
    return problem("server-unknown", "There is no such server (any more). List the servers and choose another.")
  }
  return ticketRights(keyRights, server.record.kind) === 0
    ? problem(
        "right-missing",
        `The personal key does not give the right to use a ${server.record.kind}. Ask an administrator for a key that does.`
      )
    : undefined
}

/** When a ticket issued now ends: after its lifetime, and never after the key that it comes from. */
export const ticketExpiryMs = (nowMs: number, lifetimeMs: number, keyExpiresMs: number | null): number =>
  Math.min(nowMs + lifetimeMs, keyExpiresMs ?? Number.MAX_SAFE_INTEGER)
