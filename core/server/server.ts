/**
 * What a gateway and a game server are made of besides what they serve: the link to the broker, and the session endpoint that
 * lets in who has a ticket of that broker.
 */

import { Effect, type Scope } from "effect"
import type { ServerKind } from "../api/server.ts"
import { type ServerAgent, type ServerAgentOptions, type ServerAgentPorts, serverAgent } from "../api/server-agent.ts"
import { makeServerEndpoint } from "../machine/session/server.ts"
import type { ServerEndpoint, ServerOptions, SessionHandler } from "../machine/session/session.ts"
import { Crypto } from "../port/crypto.ts"
import { Entropy } from "../port/entropy.ts"
import { HostFacts } from "../port/host-facts.ts"
import type { SessionShell } from "../port/session-shell.ts"
import type { Endpoint } from "../wire/address.ts"
import { fromKeys, type NodeError } from "./node-error.ts"
import { pinnedBrokerKey, type ServerConfig } from "./settings.ts"

/** What the link to the broker needs from the world. */
export type BrokerLinkPorts = ServerAgentPorts | HostFacts

/** Starts the link to the broker, for a server of at most `sessionsMax` sessions that is reached at `endpoint`. */
export const brokerLink = (
  config: ServerConfig,
  kind: ServerKind,
  sessionsMax: number,
  endpoint: Endpoint,
  callbacks: Pick<ServerAgentOptions, "metrics" | "onRevoked">
): Effect.Effect<ServerAgent, NodeError, BrokerLinkPorts | Scope.Scope> =>
  Effect.gen(function* () {
    return yield* serverAgent({
      name: config.name,
      kind,
      endpoint,
      region: config.region,
      capacity: sessionsMax,
      capabilities: ["ipv4"],
      brokerUrl: config.brokerUrl,
      registrationKey: config.registrationKey,
      hostFacts: yield* HostFacts.use((facts) => facts.read),
      ...pinnedBrokerKey(config),
      ...callbacks
    })
  }).pipe(Effect.mapError(fromKeys))

/** What the sessions are for: who may come in, what READY tells them, and what becomes of their data. */
export interface Application extends SessionHandler, Pick<ServerOptions, "admit" | "parameters"> {}

/** The endpoint of the server's sessions; it writes into the shell's outbox. */
export const sessionEndpoint = (
  config: ServerConfig & { readonly datagramBytesMax?: number },
  sessionsMax: number,
  agent: ServerAgent,
  shell: SessionShell,
  application: Application,
  faultPoint: (name: string) => boolean
): Effect.Effect<ServerEndpoint, never, Crypto | Entropy> =>
  Effect.gen(function* () {
    const crypto = yield* Crypto
    const random = (yield* Entropy).source("session")
    return makeServerEndpoint(
      {
        crypto,
        identity: agent.identity,
        fill: (bytes) => random.fill(bytes),
        // The broker's clock decides when a ticket has expired, so a step of this host's clock does not shut anybody out.
        wallMs: () => agent.brokerNowMs(),
        replayWindow: config.replayWindow,
        faultPoint,
        brokerKey: () => agent.brokerKey(),
        admit: (subject) => application.admit(subject),
        parameters: (session, subject) => application.parameters(session, subject),
        sessionsMax,
        ...(config.datagramBytesMax === undefined ? {} : { datagramBytesMax: config.datagramBytesMax }),
        worker: 0
      },
      shell.outbox,
      application
    )
  })

/** Does `work` every so many seconds, for ever. */
export const every = (seconds: number, work: () => void): Effect.Effect<never> =>
  Effect.forever(Effect.andThen(Effect.sleep(seconds * 1_000), Effect.sync(work)))
