/**
 * Both ends of a session for measurements, without a broker: keys that everybody can know, and tickets for whoever asks. Two processes that
 * use this agree on them without a word.
 */

import { randomFillSync } from "node:crypto"
import type { Crypto, Identity } from "@horizon/core/crypto/crypto.ts"
import { identityFromSeed } from "@horizon/core/crypto/identity.ts"
import type { ClientOptions, ServerOptions } from "@horizon/core/machine/session/session.ts"
import type { Endpoint } from "@horizon/core/wire/address.ts"
import { encodeTicket, RIGHT, TICKET_ID_BYTES } from "@horizon/core/wire/ticket.ts"

/** Positions of the replay window: the tunnel's own default. */
const REPLAY_WINDOW = 8_192
/** Holds a payload of 1,420 bytes. */
const DATAGRAM_BYTES_MAX = 1_500
const TICKET_LIFE_MS = 3_600_000

const fill = (bytes: Uint8Array): void => {
  randomFillSync(bytes)
}
const faultPoint = (): boolean => false
const wallMs = (): number => Date.now()

const identities = (crypto: Crypto) => ({
  broker: identityFromSeed(crypto, new Uint8Array(32).fill(0xb0)),
  server: identityFromSeed(crypto, new Uint8Array(32).fill(0x5e))
})

export const serverOptions = (crypto: Crypto): ServerOptions => {
  const { broker, server } = identities(crypto)
  return {
    crypto,
    identity: server,
    fill,
    wallMs,
    replayWindow: REPLAY_WINDOW,
    datagramBytesMax: DATAGRAM_BYTES_MAX,
    faultPoint,
    brokerKey: () => broker.publicKey,
    admit: () => undefined,
    parameters: () => new Uint8Array(4),
    sessionsMax: 4_096,
    worker: 0
  }
}

/** A device of its own for each number below 65,536. */
export const device = (crypto: Crypto, number: number): Identity => {
  const seed = new Uint8Array(32).fill(0xde)
  seed[0] = number
  seed[1] = number >>> 8
  return identityFromSeed(crypto, seed)
}

export const clientOptions = (crypto: Crypto, identity: Identity, to: Endpoint): ClientOptions => {
  const { broker, server } = identities(crypto)
  const issuedMs = wallMs()
  return {
    crypto,
    identity,
    fill,
    wallMs,
    replayWindow: REPLAY_WINDOW,
    datagramBytesMax: DATAGRAM_BYTES_MAX,
    faultPoint,
    server: to,
    serverKey: server.publicKey,
    ticket: encodeTicket(crypto, broker.seed, {
      ticketId: new Uint8Array(TICKET_ID_BYTES),
      issuedMs,
      expiresMs: issuedMs + TICKET_LIFE_MS,
      devicePublicKey: identity.publicKey,
      serverPublicKey: server.publicKey,
      user: "bench",
      tenant: "bench",
      rights: RIGHT.tunnel
    }),
    onReady: () => {}
  }
}
