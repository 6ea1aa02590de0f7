/** What the world says to a process of actors: lines of JSON on its standard input. When the input ends, the process does. */

import type { ActorSpec } from "@horizon/scenarios/scenario.ts"

export type ActorWord =
  /** First of all: where it is, and since when the world's time counts. */
  | { readonly word: "host"; readonly host: string; readonly directory: string; readonly originNs: number }
  /** Network address of a host. */
  | { readonly word: "address"; readonly host: string; readonly address: string }
  /** Tunnel address of a host; `null`: it has none any more. */
  | { readonly word: "tunnel"; readonly host: string; readonly address: string | null }
  /** Starts an actor, whose parameters hold addresses and no names of hosts any more. */
  | { readonly word: "start"; readonly actor: ActorSpec }
