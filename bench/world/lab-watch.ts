/** What the two worlds that stand on sim/net have alike: what is watched while a run goes on, and the faults that act on network and hosts. */

import { auditedCrypto } from "@horizon/core/crypto/audit.ts"
import type { Crypto } from "@horizon/core/crypto/crypto.ts"
import type { InvariantCount, TraceFields } from "@horizon/core/lab/trace.ts"
import type { Scenario } from "@horizon/scenarios/scenario.ts"
import type { WallClock } from "@horizon/sim/kernel/process.ts"
import type { Network } from "@horizon/sim/net/network.ts"
import type { UdpHost } from "@horizon/sim/port/udp.ts"
import type { FaultHandles } from "./fault-driver.ts"
import { LeakWatch } from "./leak-watch.ts"
import { packetStory } from "./packet-story.ts"

export interface LabWatchOptions {
  readonly network: Network
  readonly scenario: Scenario
  readonly crypto: Crypto
  readonly onBroken: (fields: TraceFields["invariant.broken"]) => void
  readonly onMessage: (from: string, fields: TraceFields["message"]) => void
}

/** Taps the network and stands before the cryptography of all nodes. */
export class LabWatch {
  /** For the nodes. */
  readonly crypto: ReturnType<typeof auditedCrypto>
  private readonly leaks: LeakWatch

  constructor({ network, scenario, crypto, onBroken, onMessage }: LabWatchOptions) {
    this.crypto = auditedCrypto(crypto, (id, sentence) => onBroken({ id, sentence }))
    this.leaks = new LeakWatch(network, (sentence) => onBroken({ id: "plaintext-leak", sentence }))
    const story = packetStory(network, scenario, (from, to, label, bytes, lost) =>
      onMessage(from, { to, label, bytes, lost })
    )
    network.tap = (point, packet, where, reason) => {
      this.leaks.tap(point, packet, where, reason)
      story(point, packet, where, reason)
    }
  }

  /** What was watched so far. */
  watched(): ReadonlyArray<InvariantCount> {
    const { audit } = this.crypto
    return [
      {
        id: "nonce-reuse",
        sentence: "no nonce seals twice under one key",
        checked: audit.sealed,
        broken: audit.nonceReuses
      },
      { id: "replay", sentence: "no packet is accepted twice", checked: audit.opened, broken: audit.replays },
      {
        id: "plaintext-leak",
        sentence: "nothing said inside a tunnel is readable on the network",
        checked: this.leaks.checked,
        broken: this.leaks.found
      }
    ]
  }
}

/** Faults of the network, and of the clock and the sockets of a node's host. */
export const groundHandles = (
  network: Network,
  placeOf: (node: string) => { readonly wall: WallClock; readonly udp: Pick<UdpHost, "slowConsumer"> }
): Pick<
  FaultHandles,
  "changeLink" | "partition" | "natWipe" | "natRebind" | "stepClock" | "driftClock" | "slowConsumer"
> => ({
  changeLink: (name, direction, change) => network.changeLink(name, direction, change),
  partition: (a, b, direction) => network.partition(a, b, direction),
  natWipe: (router) => network.natWipe(router),
  natRebind: (router) => network.natRebind(router),
  stepClock: (name, stepMs) => placeOf(name).wall.step(stepMs),
  driftClock: (name, driftPpm) => {
    const { wall } = placeOf(name)
    wall.drift(driftPpm)
    return () => wall.drift(0)
  },
  slowConsumer: (name, everyMs) => placeOf(name).udp.slowConsumer(everyMs)
})
