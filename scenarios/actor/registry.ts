/** All actors by kind: scenarios refer to them as data. */

import type { ActorProgram } from "./actor.ts"
import { type BrokerProbeParams, brokerProbe } from "./broker-probe.ts"
import { type LinkMeterParams, linkMeter } from "./link-meter.ts"
import { type LinkProbeParams, linkProbe } from "./link-probe.ts"
import { type PlayerParams, playerActor } from "./player.ts"
import { timeThief } from "./time-thief.ts"
import { type TunnelMemberParams, tunnelMember } from "./tunnel-member.ts"

const ACTORS: Readonly<Record<string, (params: any) => ActorProgram>> = {
  "tunnel-member": (params: TunnelMemberParams) => tunnelMember(params),
  "broker-probe": (params: BrokerProbeParams) => brokerProbe(params),
  player: (params: PlayerParams) => playerActor(params),
  "link-probe": (params: LinkProbeParams) => linkProbe(params),
  "link-meter": (params: LinkMeterParams) => linkMeter(params),
  "time-thief": (params: { afterMs: number }) => timeThief(params)
}

/** The program of an actor; `undefined` if there is no such kind. */
export const actorProgram = (kind: string, params: Readonly<Record<string, unknown>>): ActorProgram | undefined =>
  ACTORS[kind]?.(params)
