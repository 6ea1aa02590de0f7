/**
 * A topology that stands on this host as real interfaces: what the worlds on the kernel (netns, mininet), calibration and the tunnel
 * benchmarks have in common. Nodes and load run as processes behind `enter`.
 */

import type { LinkSpec } from "@horizon/core/link/spec.ts"
import type { LinkCount, LinkDriverName, LinkWay } from "./link-driver.ts"

/** Takes a fault back. */
export type Undo = () => Promise<void>

export interface LabNetwork {
  /** Name of the lab: a prefix of everything that it leaves on the host while it stands. */
  readonly id: string
  readonly driver: LinkDriverName
  /** Command and arguments to put before a command, so that it runs on `host` (a host or router of the topology). */
  readonly enter: (host: string) => ReadonlyArray<string>
  /** IPv4 address of a host's interface. */
  readonly addressOf: (host: string) => string
  /** Name of the host's interface inside it. */
  readonly deviceOf: (host: string) => string
  /** Changes a link (`up`, `down` or `both`); a change of address or of the topology is another call. */
  readonly changeLink: (name: string, way: LinkWay | "both", change: Partial<LinkSpec>) => Promise<Undo>
  /** Takes an interface down and up again. */
  readonly linkDown: (name: string) => Promise<Undo>
  /** No packet passes between the hosts of `a` and those of `b`, or only not from `a` to `b`; by nftables. */
  readonly partition: (
    a: ReadonlyArray<string>,
    b: ReadonlyArray<string>,
    direction: "both" | "a-to-b"
  ) => Promise<Undo>
  /** The NAT forgets its mappings; with `rebind` every live flow gets a new outside port from now on. */
  readonly natWipe: (router: string) => Promise<void>
  readonly natRebind: (router: string) => Promise<void>
  /** Gives the host another free address of its subnet; resolves with it. */
  readonly changeAddress: (host: string) => Promise<string>
  /** What the links did; a link whose spec asks for more than its counts can show is a `LabError`. */
  readonly counts: () => Promise<ReadonlyMap<string, Readonly<Record<LinkWay, LinkCount>>>>
  /** What the driver does only nearly, by link. */
  readonly notes: ReadonlyArray<string>
  /** Ends every process behind `enter` that is still there, and leaves nothing behind. May be called twice. */
  readonly close: () => Promise<void>
}
