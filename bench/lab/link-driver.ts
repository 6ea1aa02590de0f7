/**
 * What puts the impairments of a LinkSpec onto real packets. A lab asks its driver for one link for each host or router interface; the driver
 * makes both ends as devices and answers for what happens in between. Drivers differ in means, not in meaning:
 *
 * - `plain`: a veth pair and nothing else; refuses every spec but the perfect one.
 * - `tc`: a veth pair with qdiscs of the running kernel on both ends.
 * - `box`: two TAP devices of a user-mode Linux guest that has netem, with the same qdiscs inside the guest.
 * - `link`: two TAP devices of a process that runs core/link on the frames.
 */

import type { LinkSpec } from "@horizon/core/link/spec.ts"

export const LINK_DRIVERS = ["plain", "tc", "box", "link"] as const
export type LinkDriverName = (typeof LINK_DRIVERS)[number]

/** A device and the network namespace in which it lies. */
export interface LinkEnd {
  readonly namespace: string
  /** Name of the device there, at most 15 bytes. */
  readonly device: string
}

/** One access link: between a host (or a router's interface) and the switch of its subnet. */
export interface LinkEnds {
  /** As faults name it: a host's name, or `router/subnet`. */
  readonly name: string
  readonly host: LinkEnd
  readonly subnet: LinkEnd
}

/** From the host into the subnet, or from the subnet to the host. */
export type LinkWay = "up" | "down"

/** What a link says that it did since it was made. A count that the means cannot give is `undefined`. */
export interface LinkCount {
  readonly packets: number
  readonly bytes: number
  /** All packets that entered and did not leave, for whatever reason. */
  readonly dropped: number
  /** Those among them that were lost because the means itself came too late, or had no room: no spec asked for that. */
  readonly overrun?: number
  readonly overlimits?: number
  readonly duplicated?: number
  readonly reordered?: number
  readonly corrupted?: number
  readonly marked?: number
}

/** A driver at work. Everything rejects with a `LabError` that names the link and says what to do. */
export interface LinkDriver {
  readonly name: LinkDriverName
  /**
   * Puts a spec in force for one way of one link. Resolves when the means has confirmed it (the qdisc was read back, the process has
   * answered), with notes on what it does only nearly; rejects if it cannot do it at all. Nothing is silently ignored.
   */
  readonly configure: (link: string, way: LinkWay, spec: LinkSpec) => Promise<ReadonlyArray<string>>
  readonly counts: () => Promise<ReadonlyMap<string, Readonly<Record<LinkWay, LinkCount>>>>
  /** Takes the devices away. May be called twice. */
  readonly close: () => Promise<void>
}

/** Makes the devices of all links, perfect at first, up and without addresses; `lab` names the lab in everything that is left on the host. */
export type MakeLinkDriver = (lab: string, links: ReadonlyArray<LinkEnds>) => Promise<LinkDriver>
