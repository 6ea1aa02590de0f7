/** Registration of servers: the registration key is checked, a challenge given, and its signature proves the server's key. */

import { isApiKey, visiblePart } from "@horizon/core/api/api-key.ts"
import { fromBase64Url, toBase64Url, utf8 } from "@horizon/core/api/base64url.ts"
import type { Fingerprint, FingerprintChange } from "@horizon/core/api/fingerprint.ts"
import { problem } from "@horizon/core/api/problem.ts"
import { registrationProof } from "@horizon/core/api/proof.ts"
import {
  type ProveAnswer,
  type RegisterAnswer,
  ServerDeclaration,
  type ServerRecord,
  serverRecordBytes
} from "@horizon/core/api/server.ts"
import { assert } from "@horizon/core/assert.ts"
import { equalConstantTime } from "@horizon/core/crypto/crypto.ts"
import { deviceId } from "@horizon/core/crypto/identity.ts"
import { randomBytes } from "@horizon/core/port/entropy.ts"
import { Effect, Option, Schema } from "effect"
import { refuseChallenge, refuseRegistrationKey, refuseServer } from "./decisions.ts"
import { notice } from "./fingerprint.ts"
import type { Answer, BrokerParts } from "./parts.ts"
import { fromHex, toHex } from "./record-id.ts"
import type { RegistrationKeyRow } from "./store/key-store.ts"
import type { ChallengeRow } from "./store/server-store.ts"

const declarationJson = Schema.fromJsonString(Schema.toCodecJson(ServerDeclaration))
const encodeDeclaration = Schema.encodeSync(declarationJson)
const decodeDeclaration = Schema.decodeUnknownOption(declarationJson)

/** First step: a challenge for a server that brings a good registration key. */
export const register = (
  parts: BrokerParts,
  declaration: ServerDeclaration,
  registrationKey: string
): Answer<RegisterAnswer> =>
  Effect.gen(function* () {
    const { crypto, config, servers, identity } = parts
    const nowMs = parts.clock.wallMs()
    const key = yield* findRegistrationKey(parts, registrationKey)
    const server = yield* servers.byId(deviceId(crypto, declaration.publicKey))
    const refusal = refuseRegistrationKey(key, server !== undefined, nowMs) ?? refuseServer(server, declaration.kind)
    if (refusal !== undefined) return yield* Effect.fail(refusal)
    assert(key !== undefined, "An unknown registration key is refused.")
    const challengeId = randomBytes(parts.random, 16)
    const challenge = randomBytes(parts.random, 32)
    const expiresMs = nowMs + config.challengeLifetimeMs
    const added = yield* servers.addChallenge(
      {
        id: toHex(challengeId),
        challenge: toBase64Url(challenge),
        publicKey: toBase64Url(declaration.publicKey),
        declaration: encodeDeclaration(declaration),
        registrationKeyId: key.id,
        expiresMs
      },
      config.challengesMax
    )
    if (!added) {
      return yield* Effect.fail(
        problem(
          "too-many-challenges",
          `${config.challengesMax} registrations are waiting for their proof; try again in some seconds.`
        )
      )
    }
    return { challengeId, challenge, expiresMs, brokerKey: identity.publicKey, brokerNowMs: nowMs }
  })

/** Second step: the signature over the challenge makes the server known, with a new session. */
export const prove = (
  parts: BrokerParts,
  challengeId: Uint8Array,
  signature: Uint8Array,
  fingerprint: Fingerprint | undefined
): Answer<ProveAnswer> =>
  Effect.gen(function* () {
    const { crypto, config, servers, identity, trace } = parts
    const nowMs = parts.clock.wallMs()
    const challenge = yield* servers.challenge(toHex(challengeId))
    const late = refuseChallenge(challenge, nowMs)
    if (late !== undefined) return yield* Effect.fail(late)
    assert(challenge !== undefined, "An unknown challenge is refused.")
    const declaration = Option.getOrUndefined(decodeDeclaration(challenge.declaration))
    assert(declaration !== undefined, "A declaration in the store is what this broker wrote.")
    const asked = fromBase64Url(challenge.challenge) ?? new Uint8Array(0)
    const message = registrationProof(asked, declaration.publicKey, identity.publicKey, fingerprint)
    if (!crypto.ed25519Verify(declaration.publicKey, message, signature)) {
      return yield* Effect.fail(
        problem("proof-invalid", "The signature over the challenge is not that of the key that was declared.")
      )
    }
    const record: ServerRecord = { id: deviceId(crypto, declaration.publicKey), ...declaration, provedMs: nowMs }
    const session = randomBytes(parts.random, 16)
    const change = yield* parts.sql.withTransaction(admit(parts, challenge, record, session, fingerprint))
    trace("broker.server-registered", { serverId: record.id, name: record.name })
    if (change !== undefined) trace("broker.fingerprint-changed", { serverId: record.id, how: change })
    return {
      serverId: record.id,
      session,
      brokerKey: identity.publicKey,
      heartbeatIntervalMs: config.heartbeatIntervalMs,
      brokerNowMs: nowMs
    }
  })

/**
 * All or nothing: the challenge is taken, a use of the key if the server is new, and the server is written. Answers how the server's
 * fingerprint has changed, if it has.
 */
const admit = (
  parts: BrokerParts,
  challenge: ChallengeRow,
  record: ServerRecord,
  session: Uint8Array,
  fingerprint: Fingerprint | undefined
): Answer<FingerprintChange | undefined> =>
  Effect.gen(function* () {
    const nowMs = record.provedMs
    const { crypto, servers, keys, identity } = parts
    if (!(yield* servers.takeChallenge(challenge.id))) {
      return yield* Effect.fail(problem("challenge-unknown", "The challenge was answered already. Register again."))
    }
    const known = yield* servers.byId(record.id)
    const key = yield* keys.registrationKeyById(challenge.registrationKeyId)
    const refusal = refuseServer(known, record.kind) ?? refuseRegistrationKey(key, known !== undefined, nowMs)
    if (refusal !== undefined) return yield* Effect.fail(refusal)
    assert(key !== undefined, "An unknown registration key is refused.")
    if (known === undefined && !(yield* keys.takeRegistrationUse(key.id, nowMs))) {
      return yield* Effect.fail(
        problem("registration-key-used-up", "Another server has taken the last use of the registration key.")
      )
    }
    const noticed = notice(known?.fingerprint ?? null, fingerprint, nowMs)
    const put = yield* servers.put(
      {
        record,
        publicKey: challenge.publicKey,
        signature: toBase64Url(crypto.ed25519Sign(identity.seed, serverRecordBytes(record))),
        tags: key.tags,
        registrationKeyId: key.id,
        session: toBase64Url(session),
        fingerprint: noticed.known
      },
      nowMs
    )
    if (!put) return yield* Effect.fail(problem("server-revoked", "The server was revoked by an administrator."))
    return noticed.change
  })

/** The key with this text, whatever its state; `undefined` if there is none. */
const findRegistrationKey = (parts: BrokerParts, text: string): Answer<RegistrationKeyRow | undefined> =>
  isApiKey("registration", text)
    ? Effect.map(parts.keys.registrationKey(visiblePart(text)), (row) =>
        row !== undefined && equalConstantTime(fromHex(row.sha256), parts.crypto.sha256(utf8(text))) ? row : undefined
      )
    : Effect.succeed(undefined)
