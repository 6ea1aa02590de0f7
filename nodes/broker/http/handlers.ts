/** The API's endpoints, each handed to its service. */

import { CallingMember, CallingServer } from "@horizon/core/api/auth.ts"
import { fromBase64Url } from "@horizon/core/api/base64url.ts"
import { BrokerApi } from "@horizon/core/api/broker-api.ts"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import * as keys from "../keys.ts"
import { brokerStatus, listConnections } from "../overview.ts"
import { BROKER_VERSION, type BrokerParts } from "../parts.ts"
import { toHex } from "../record-id.ts"
import { prove, register } from "../registration.ts"
import { deregister, heartbeat, reportConnections } from "../server-link.ts"
import { listServers, listServersForAdmin } from "../server-list.ts"
import { issueTicket } from "../tickets.ts"
import { answered } from "./answered.ts"
import { layerAdminToken, layerMemberKey, layerServerSigned } from "./auth-layers.ts"
import { layerUniformProblems } from "./uniform-problems.ts"

/** Where the OpenAPI document is served. */
export const OPENAPI_PATH = "/api/v1/openapi.json"

const healthGroup = (parts: BrokerParts) =>
  HttpApiBuilder.group(BrokerApi, "health", (handlers) =>
    handlers.handleAll({
      get: () =>
        Effect.as(answered(parts.sql`SELECT 1`), {
          status: "ok" as const,
          version: BROKER_VERSION,
          brokerKey: parts.identity.publicKey,
          brokerNowMs: parts.clock.wallMs()
        })
    })
  )

const registrationGroup = (parts: BrokerParts) =>
  HttpApiBuilder.group(BrokerApi, "registration", (handlers) =>
    handlers.handleAll({
      register: ({ payload: { registrationKey, ...declaration } }) =>
        answered(register(parts, declaration, registrationKey)),
      prove: ({ payload }) => answered(prove(parts, payload.challengeId, payload.signature, payload.fingerprint))
    })
  )

const serverLinkGroup = (parts: BrokerParts) =>
  HttpApiBuilder.group(BrokerApi, "serverLink", (handlers) =>
    handlers.handleAll({
      heartbeat: ({ payload }) =>
        CallingServer.use((server) =>
          answered(heartbeat(parts, server.serverId, payload.metrics, payload.revocationsAfter))
        ),
      deregister: () => CallingServer.use((server) => answered(deregister(parts, server.serverId))),
      reportConnections: ({ payload }) =>
        CallingServer.use((server) => answered(reportConnections(parts, server.serverId, payload.reports)))
    })
  )

const membersGroup = (parts: BrokerParts) =>
  HttpApiBuilder.group(BrokerApi, "members", (handlers) =>
    handlers.handleAll({
      listServers: ({ query }) => answered(listServers(parts, query)),
      issueTicket: ({ payload }) => CallingMember.use((member) => answered(issueTicket(parts, member, payload)))
    })
  )

const adminGroup = (parts: BrokerParts) =>
  HttpApiBuilder.group(BrokerApi, "admin", (handlers) =>
    handlers.handleAll({
      status: () => answered(brokerStatus(parts)),
      listServers: ({ query }) => answered(listServersForAdmin(parts, query)),
      revokeServer: ({ params }) => answered(keys.revokeServer(parts, params.id)),
      listConnections: ({ query }) => answered(listConnections(parts, query)),
      createRegistrationKey: ({ payload }) => answered(keys.createRegistrationKey(parts, payload)),
      listRegistrationKeys: ({ query }) => answered(keys.listRegistrationKeys(parts, query)),
      revokeRegistrationKey: ({ params }) => answered(keys.revokeRegistrationKey(parts, hexOf(params.id))),
      createPersonalKey: ({ payload }) => answered(keys.createPersonalKey(parts, payload)),
      listPersonalKeys: ({ query }) => answered(keys.listPersonalKeys(parts, query)),
      revokePersonalKey: ({ params }) => answered(keys.revokePersonalKey(parts, hexOf(params.id)))
    })
  )

/** All routes of the broker; the HTTP server is the world's. */
export const layerRoutes = (parts: BrokerParts) =>
  Layer.mergeAll(
    HttpApiBuilder.layer(BrokerApi, { openapiPath: OPENAPI_PATH }).pipe(
      Layer.provide([
        healthGroup(parts),
        registrationGroup(parts),
        serverLinkGroup(parts),
        membersGroup(parts),
        adminGroup(parts)
      ]),
      Layer.provide([
        layerServerSigned(parts),
        layerMemberKey(parts),
        layerAdminToken(parts),
        layerUniformProblems(parts)
      ]),
      Layer.provide(HttpServer.layerServices)
    ),
    HttpRouter.add("*", "/*", routeUnknown),
    HttpRouter.middleware((effect) => Effect.map(effect, HttpServerResponse.setHeaders(SECURITY_HEADERS)), {
      global: true
    })
  )

/** Answers are for their caller alone and are never a page. */
const SECURITY_HEADERS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'"
}

const routeUnknown = HttpServerResponse.json(
  {
    type: "about:blank",
    status: 404,
    title: "Not Found",
    reason: "route-unknown",
    detail: `There is no such path or method. The API is described at ${OPENAPI_PATH}.`
  },
  { status: 404, contentType: "application/problem+json" }
)

/** The id in a path is base64url of 16 bytes, by its schema. */
const hexOf = (id: string): string => {
  const bytes = fromBase64Url(id)
  return bytes === undefined ? "" : toHex(bytes)
}
