/** The broker's HTTP API: one definition for the server, the nodes' clients, the load generator and the OpenAPI document. */

import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import {
  AdminServerPage,
  BrokerStatus,
  PersonalKeyCreated,
  PersonalKeyPage,
  PersonalKeyRequest,
  pageQuery,
  RegistrationKeyCreated,
  RegistrationKeyPage,
  RegistrationKeyRequest,
  Revoked
} from "./admin.ts"
import { AdminToken, IdParam, MemberKey, ServerSigned, UniformProblems } from "./auth.ts"
import { ConnectionPage, connectionListQuery, ReportAnswer, ReportRequest } from "./connection.ts"
import { KeyId, PublicKey, TimeMs } from "./scalar.ts"
import {
  HeartbeatAnswer,
  HeartbeatRequest,
  ProveAnswer,
  ProveRequest,
  RegisterAnswer,
  RegisterRequest,
  ServerPage,
  serverListQuery
} from "./server.ts"
import { TicketAnswer, TicketRequest } from "./ticket.ts"

/** All paths begin with this. */
export const API_PREFIX = "/api/v1"

/** Answers without credentials: is it there, which key does it sign with, what time has it. */
const health = HttpApiGroup.make("health")
  .add(
    HttpApiEndpoint.get("get", "/health", {
      success: Schema.Struct({
        status: Schema.Literal("ok"),
        version: Schema.String,
        brokerKey: PublicKey,
        brokerNowMs: TimeMs
      })
    })
  )
  .middleware(UniformProblems)
  .annotate(OpenApi.Description, "Whether the broker serves, and its store answers.")

/** Registration: no credentials but the registration key in the body and the proof. */
const registration = HttpApiGroup.make("registration")
  .add(
    HttpApiEndpoint.post("register", "/servers/register", { payload: RegisterRequest, success: RegisterAnswer }),
    HttpApiEndpoint.post("prove", "/servers/prove", { payload: ProveRequest, success: ProveAnswer })
  )
  .middleware(UniformProblems)
  .annotate(
    OpenApi.Description,
    "How a gateway or game server becomes known: registration key, then proof of its Ed25519 key."
  )

/** What a registered server says, signed. */
const serverLink = HttpApiGroup.make("serverLink")
  .add(
    HttpApiEndpoint.post("heartbeat", "/servers/heartbeat", { payload: HeartbeatRequest, success: HeartbeatAnswer }),
    HttpApiEndpoint.post("deregister", "/servers/deregister", { success: Schema.Struct({ brokerNowMs: TimeMs }) }),
    HttpApiEndpoint.post("reportConnections", "/connections/report", { payload: ReportRequest, success: ReportAnswer })
  )
  .middleware(ServerSigned)
  .middleware(UniformProblems)
  .annotate(OpenApi.Description, "Signed requests of registered servers.")

/** What a member asks. */
const members = HttpApiGroup.make("members")
  .add(
    HttpApiEndpoint.get("listServers", "/servers", { query: serverListQuery, success: ServerPage }),
    HttpApiEndpoint.post("issueTicket", "/tickets", { payload: TicketRequest, success: TicketAnswer })
  )
  .middleware(MemberKey)
  .middleware(UniformProblems)
  .annotate(OpenApi.Description, "Server list and tickets, for holders of a personal key.")

const admin = HttpApiGroup.make("admin")
  .add(
    HttpApiEndpoint.get("status", "/status", { success: BrokerStatus }),
    HttpApiEndpoint.get("listServers", "/servers", { query: serverListQuery, success: AdminServerPage }),
    HttpApiEndpoint.post("revokeServer", "/servers/:id/revoke", { params: { id: KeyId }, success: Revoked }),
    HttpApiEndpoint.get("listConnections", "/connections", { query: connectionListQuery, success: ConnectionPage }),
    HttpApiEndpoint.post("createRegistrationKey", "/registration-keys", {
      payload: RegistrationKeyRequest,
      success: RegistrationKeyCreated
    }),
    HttpApiEndpoint.get("listRegistrationKeys", "/registration-keys", {
      query: pageQuery,
      success: RegistrationKeyPage
    }),
    HttpApiEndpoint.post("revokeRegistrationKey", "/registration-keys/:id/revoke", {
      params: IdParam,
      success: Revoked
    }),
    HttpApiEndpoint.post("createPersonalKey", "/personal-keys", {
      payload: PersonalKeyRequest,
      success: PersonalKeyCreated
    }),
    HttpApiEndpoint.get("listPersonalKeys", "/personal-keys", { query: pageQuery, success: PersonalKeyPage }),
    HttpApiEndpoint.post("revokePersonalKey", "/personal-keys/:id/revoke", { params: IdParam, success: Revoked })
  )
  .middleware(AdminToken)
  .middleware(UniformProblems)
  .prefix("/admin")
  .annotate(OpenApi.Description, "Keys, servers and connections, for administrators.")

export const BrokerApi = HttpApi.make("broker")
  .add(health, registration, serverLink, members, admin)
  .prefix(API_PREFIX)
  .annotateMerge(
    OpenApi.annotations({
      title: "Horizon broker",
      version: "1",
      description: "Registers servers, lists them, and issues short-lived signed tickets that servers check offline."
    })
  )
