/**
 * What an actor is: an Effect over the same ports as the nodes, started by the world on a host. It runs until it is interrupted
 * at the end of the run, and says what it saw through the trace.
 */

import type { Clock } from "@horizon/core/port/clock.ts"
import type { Crypto } from "@horizon/core/port/crypto.ts"
import type { Entropy } from "@horizon/core/port/entropy.ts"
import type { Keys } from "@horizon/core/port/keys.ts"
import type { Udp } from "@horizon/core/port/udp.ts"
import type { Effect } from "effect"
import { Context } from "effect"
import type { HttpClient } from "effect/http"

/** What the lab knows of its hosts, as a hosts file would tell: addresses on the network and inside the tunnel. */
export class Directory extends Context.Service<
  Directory,
  {
    /** Network address of a host. */
    readonly address: (host: string) => string
    /** Tunnel address of a host, once its client has one. */
    readonly tunnelAddress: (host: string) => string | undefined
    /** This actor's name in the scenario. */
    readonly self: string
    /** The host that it runs on. */
    readonly host: string
    /** World time in nanoseconds, the time base of trace events. */
    readonly worldNs: () => number
  }
>()("horizon/Directory") {}

/** The ports that an actor may use. `Udp` is the network's or the tunnel's, as the scenario says. */
export type ActorPorts = Udp | Clock | Entropy | Crypto | Keys | HttpClient.HttpClient | Directory

/** An actor program made from its parameters; parameters that do not fit are a bug in the scenario. */
export type ActorProgram = Effect.Effect<void, unknown, ActorPorts>
