/** Finds out who asks: a server by its signature, a member by the personal key, an administrator by the token. */

import { type ApiKeyKind, isApiKey, visiblePart } from "@horizon/core/api/api-key.ts"
import { AdminToken, CallingMember, CallingServer, MemberKey, ServerSigned } from "@horizon/core/api/auth.ts"
import { fromBase64Url, utf8 } from "@horizon/core/api/base64url.ts"
import { type Problem, problem } from "@horizon/core/api/problem.ts"
import { parseCredential, requestProof, type ServerCredential, signedPath } from "@horizon/core/api/proof.ts"
import { assert } from "@horizon/core/assert.ts"
import { equalConstantTime } from "@horizon/core/crypto/crypto.ts"
import { Effect, Layer, Redacted } from "effect"
import { HttpServerRequest } from "effect/http"
import { refuseCounter, refusePersonalKey, refuseSender, refuseTime } from "../decisions.ts"
import type { Answer, BrokerParts } from "../parts.ts"
import { fromHex, fromText } from "../record-id.ts"
import type { PersonalKeyRow } from "../store/key-store.ts"
import type { ServerRow } from "../store/server-store.ts"
import { answered } from "./answered.ts"
import { bodyProblem, tooLarge } from "./uniform-problems.ts"

export const layerServerSigned = (parts: BrokerParts): Layer.Layer<ServerSigned> =>
  Layer.succeed(ServerSigned)({
    signature: (httpEffect, { credential }) =>
      Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const parsed = parseCredential(Redacted.value(credential))
        if (parsed === undefined)
          return yield* Effect.fail(credentialMissing("Horizon-Server <id>.<counter>.<time>.<signature>"))
        const body = yield* readBody(request, parts.config.requestBytesMax)
        const server = yield* answered(authenticate(parts, request, body, parsed))
        const { id, kind, name } = server.record
        return yield* Effect.provideService(httpEffect, CallingServer, { serverId: id, kind, name })
      })
  })

/** The server that signed the request; its counter is then used up. */
const authenticate = (
  parts: BrokerParts,
  request: HttpServerRequest.HttpServerRequest,
  body: Uint8Array,
  credential: ServerCredential
): Answer<ServerRow> =>
  Effect.gen(function* () {
    const { crypto, servers } = parts
    const nowMs = parts.clock.wallMs()
    const server = yield* servers.byId(credential.serverId)
    const unknown = refuseSender(server)
    if (unknown !== undefined) return yield* Effect.fail(unknown)
    assert(
      server !== undefined && server.session !== null,
      "A server that is neither unknown nor revoked has a session."
    )
    const message = requestProof({
      serverId: credential.serverId,
      session: fromText(server.session),
      counter: credential.counter,
      timeMs: credential.timeMs,
      method: request.method,
      path: signedPath(request.originalUrl),
      bodySha256: crypto.sha256(body)
    })
    const signature = fromBase64Url(credential.signature)
    if (signature === undefined || !crypto.ed25519Verify(server.record.publicKey, message, signature)) {
      return yield* Effect.fail(
        problem(
          "signature-invalid",
          "The signature is not the server's over this request in its present session. If the server registered anew elsewhere, register again."
        )
      )
    }
    const refusal = refuseTime(credential.timeMs, nowMs) ?? refuseCounter(server, credential.counter)
    if (refusal !== undefined) return yield* Effect.fail(refusal)
    if (!(yield* servers.accept(server.record.id, server.session, credential.counter, nowMs))) {
      return yield* Effect.fail(
        problem("counter-replayed", "Another request with this or a higher counter came first.", {
          counter: credential.counter
        })
      )
    }
    return server
  })

export const layerMemberKey = (parts: BrokerParts): Layer.Layer<MemberKey> =>
  Layer.succeed(MemberKey)({
    personalKey: (httpEffect, { credential }) =>
      Effect.gen(function* () {
        const text = Redacted.value(credential)
        if (text === "") return yield* Effect.fail(credentialMissing("Bearer hzp_…"))
        const key = yield* answered(findPersonalKey(parts, text))
        return yield* Effect.provideService(httpEffect, CallingMember, {
          keyId: key.id,
          keyPrefix: key.prefix,
          keyExpiresMs: key.expiresMs,
          keySha256: fromHex(key.sha256),
          user: key.user,
          tenant: key.tenant,
          rights: key.rights,
          devicesMax: key.devicesMax
        })
      })
  })

const findPersonalKey = (parts: BrokerParts, text: string): Answer<PersonalKeyRow> =>
  Effect.gen(function* () {
    const row = isApiKey("personal", text) ? yield* parts.keys.personalKey(visiblePart(text)) : undefined
    const key = row !== undefined && isSecret(parts, "personal", text, row) ? row : undefined
    const refusal = refusePersonalKey(key, parts.clock.wallMs())
    if (refusal !== undefined) return yield* Effect.fail(refusal)
    assert(key !== undefined, "An unknown personal key is refused.")
    return key
  })

export const layerAdminToken = (parts: BrokerParts): Layer.Layer<AdminToken> =>
  Layer.succeed(AdminToken)({
    adminToken: (httpEffect, { credential }) =>
      Effect.gen(function* () {
        const text = Redacted.value(credential)
        if (text === "") return yield* Effect.fail(credentialMissing("Bearer hza_…"))
        yield* answered(checkAdmin(parts, text))
        return yield* httpEffect
      })
  })

const checkAdmin = (parts: BrokerParts, text: string): Answer<void> =>
  Effect.gen(function* () {
    const rows = isApiKey("admin", text) ? yield* parts.keys.adminTokens(visiblePart(text)) : []
    const token = rows.find((row) => isSecret(parts, "admin", text, row))
    if (token === undefined) {
      return yield* Effect.fail(problem("credential-unknown", "The administrator's token is not known to this broker."))
    }
    if (token.revokedMs !== null) {
      return yield* Effect.fail(problem("credential-revoked", "The administrator's token was revoked."))
    }
  })

/** Whether `text` is the secret of the row, in time that does not depend on where they differ. */
const isSecret = (parts: BrokerParts, kind: ApiKeyKind, text: string, row: { readonly sha256: string }): boolean =>
  isApiKey(kind, text) && equalConstantTime(fromHex(row.sha256), parts.crypto.sha256(utf8(text)))

/** The body's bytes; the handler reads the same, they are kept by the request. */
const readBody = (
  request: HttpServerRequest.HttpServerRequest,
  requestBytesMax: number
): Effect.Effect<Uint8Array, Problem> =>
  request.arrayBuffer.pipe(
    Effect.mapError((error) =>
      error.reason._tag === "RequestParseError"
        ? bodyProblem(error.reason, requestBytesMax)
        : problem("malformed", "The body of the request could not be read.")
    ),
    Effect.flatMap((buffer) =>
      buffer.byteLength > requestBytesMax
        ? Effect.fail(tooLarge(requestBytesMax))
        : Effect.succeed(new Uint8Array(buffer))
    )
  )

const credentialMissing = (form: string): Problem =>
  problem("credential-missing", `The request needs the header "Authorization: ${form}".`)
