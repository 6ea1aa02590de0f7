/** All scenarios, in the order in which a list shows them. */

import { brokerHalfOutage, brokerHerd, brokerOutage } from "./cases/broker-away.scenario.ts"
import { calibration } from "./cases/calibration.scenario.ts"
import { canaryLease, canaryNonce, canaryRealTime, canaryReconnect, canaryReplay } from "./cases/canary.scenario.ts"
import { flagship } from "./cases/flagship.scenario.ts"
import { clockStepOverTicketExpiry, gatewayCrashRestart, pausedClient } from "./cases/node.scenario.ts"
import { lossyWifi, lostProofs, natRebinding, oneWayPartition, unheardMembers } from "./cases/path.scenario.ts"
import { game32, lanParty, steadyState } from "./cases/steady.scenario.ts"
import { swarm } from "./cases/swarm.scenario.ts"
import type { Scenario } from "./scenario.ts"

export const SCENARIOS: ReadonlyArray<Scenario> = [
  steadyState,
  lanParty,
  game32,
  lossyWifi,
  brokerOutage,
  brokerHalfOutage,
  brokerHerd,
  gatewayCrashRestart,
  oneWayPartition,
  lostProofs,
  unheardMembers,
  natRebinding,
  clockStepOverTicketExpiry,
  pausedClient,
  swarm,
  calibration,
  flagship,
  canaryReplay,
  canaryNonce,
  canaryLease,
  canaryReconnect,
  canaryRealTime
]

export const scenarioByName = (name: string): Scenario | undefined =>
  SCENARIOS.find((scenario) => scenario.name === name)
