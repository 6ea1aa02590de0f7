/** All checks by name: scenarios refer to them as data. */

import type { Check } from "./check.ts"
import {
  cheatersFlagged,
  honestNeverFlagged,
  noNodeFailed,
  oneHolderPerAddress,
  statusTruthful,
  viewsAgree,
  watchedInvariants
} from "./safety.ts"
import {
  allPairs,
  brokerLinkRecovers,
  brokerRequestsBounded,
  inputEffect,
  latencyAtMost,
  noThunderingHerd,
  occurs,
  opsRecovered,
  opsSucceed,
  playersPlay,
  sameAddresses
} from "./service.ts"
import { clientSays, clientsAre, statusLasts, statusLeaves, statusReaches } from "./status.ts"

export const CHECKS: Readonly<Record<string, Check>> = {
  "one-holder-per-address": oneHolderPerAddress,
  "watched-invariants": watchedInvariants,
  "honest-never-flagged": honestNeverFlagged,
  "cheaters-flagged": cheatersFlagged,
  "no-node-failed": noNodeFailed,
  "status-truthful": statusTruthful,
  "ops-succeed": opsSucceed,
  "ops-recovered": opsRecovered,
  "all-pairs": allPairs,
  "clients-are": clientsAre,
  "client-says": clientSays,
  "broker-link-recovers": brokerLinkRecovers,
  "broker-requests-bounded": brokerRequestsBounded,
  "no-thundering-herd": noThunderingHerd,
  occurs,
  "players-play": playersPlay,
  "views-agree": viewsAgree,
  "input-effect": inputEffect,
  "same-addresses": sameAddresses,
  "status-leaves": statusLeaves,
  "status-reaches": statusReaches,
  "status-lasts": statusLasts,
  "latency-at-most": latencyAtMost
}
