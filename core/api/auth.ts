/** Who asks: the three ways to prove it, as security schemes of the API, and what a handler learns from each. */

import { Context, Schema } from "effect"
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"
import { PROBLEMS } from "./problem.ts"

/** The server whose signature stood on the request. */
export class CallingServer extends Context.Service<
  CallingServer,
  { readonly serverId: string; readonly kind: "gateway" | "game"; readonly name: string }
>()("horizon/api/CallingServer") {}

/** The member whose personal key came with the request. */
export class CallingMember extends Context.Service<
  CallingMember,
  {
    /** Id of the personal key, hex. */
    readonly keyId: string
    /** Its first characters, for messages. */
    readonly keyPrefix: string
    readonly keySha256: Uint8Array
    readonly keyExpiresMs: number | null
    readonly user: string
    readonly tenant: string
    readonly rights: number
    readonly devicesMax: number
  }
>()("horizon/api/CallingMember") {}

/**
 * A server's request, signed with its identity: `Authorization: Horizon-Server <server id>.<counter>.<time>.<signature>`. The
 * signature is Ed25519 over `requestProof` of proof.ts; the counter must be higher than any accepted before in this session.
 */
export class ServerSigned extends HttpApiMiddleware.Service<ServerSigned, { provides: CallingServer }>()(
  "horizon/api/ServerSigned",
  { security: { signature: HttpApiSecurity.http({ scheme: "Horizon-Server" }) }, error: PROBLEMS }
) {}

/** A member's request: `Authorization: Bearer hzp_…`. */
export class MemberKey extends HttpApiMiddleware.Service<MemberKey, { provides: CallingMember }>()(
  "horizon/api/MemberKey",
  { security: { personalKey: HttpApiSecurity.bearer }, error: PROBLEMS }
) {}

/** An administrator's request: `Authorization: Bearer hza_…`. */
export class AdminToken extends HttpApiMiddleware.Service<AdminToken>()("horizon/api/AdminToken", {
  security: { adminToken: HttpApiSecurity.bearer },
  error: PROBLEMS
}) {}

/** Turns what does not fit a schema into a documented 400 that says what and where, and a failing store into a 503. */
export class UniformProblems extends HttpApiMiddleware.Service<UniformProblems>()("horizon/api/UniformProblems", {
  error: PROBLEMS
}) {}

/** Path parameter: id of a key, 16 bytes base64url. */
export const IdParam = {
  id: Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_-]{22}$/, { expected: "a key's id, 22 characters base64url" }))
}
