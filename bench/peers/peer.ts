/**
 * What the tunnel benchmark compares: anything that carries packets between the two ends of a pair. The bare path, the floor programs, other
 * people's tunnels and Horizon's own have this one shape, so that they are measured alike.
 */

import { existsSync } from "node:fs"
import { run } from "../lab/command.ts"
import { LabError } from "../lab/lab-error.ts"
import type { Pair, PairEnd } from "../net/pair.ts"

/** `path`: no cryptography in between; `floor`: a tunnel in C; `peer`: other people's tunnels; `horizon`: this one. */
export type PeerKind = "path" | "floor" | "peer" | "horizon"

export interface Peer {
  /** Unique, as options and results name it: `wireguard-go`. */
  readonly name: string
  /** For tables and plots. */
  readonly title: string
  readonly kind: PeerKind
  /** Installs or builds it into the cache, once. Never rejects for what this host lacks: that is an answer. */
  readonly prepare: (onProgress: (sentence: string) => void) => Promise<Prepared>
  /** Brings the tunnel up on both ends of the pair; after `prepare` only. Rejects with a `LabError`. */
  readonly start: (pair: Pair) => Promise<Tunnel>
}

export type Prepared = Version | { readonly missing: string }

export interface Version {
  readonly version: string
  /** What a reader must know of it, such as why it is not the newest. */
  readonly note?: string
}

/** A tunnel that is up, or about to be: the caller waits for its first answer. */
export interface Tunnel {
  /** What to send to, to reach each end through the tunnel. */
  readonly addresses: { readonly a: string; readonly b: string }
  /** Largest IP packet that enters the tunnel. */
  readonly mtuBytes: number
  readonly processes: ReadonlyArray<TunnelProcess>
  /** Ends its processes and takes its files away. May be called twice. */
  readonly stop: () => Promise<void>
}

export interface TunnelProcess {
  readonly pid: number
  /** Which end it serves. */
  readonly end: "a" | "b" | "both"
}

/** Addresses inside every tunnel; outside it the pair has its own. */
export const INNER = { a: "10.198.0.1", b: "10.198.0.2", prefixBits: 24 } as const

/** The ends of a pair, for whatever is done on both. */
export const ENDS = ["a", "b"] as const

/** Makes the answer of `prepare` from a build of a tunnel that resolves with its version: what is missing is not an error here. */
export const preparing = async (build: () => Promise<Version>): Promise<Prepared> => {
  const missing = tunMissing()
  if (missing !== undefined) return { missing }
  try {
    return await build()
  } catch (error) {
    if (error instanceof LabError) return { missing: firstLines(error.message) }
    throw error
  }
}

const TUN_DEVICE = "/dev/net/tun"

/** Why there can be no virtual interface here, in one line; undefined if nothing is known to be in the way. */
export const tunMissing = (): string | undefined =>
  existsSync(TUN_DEVICE)
    ? undefined
    : `this host has no ${TUN_DEVICE}; load its driver (modprobe tun) or give the container the device`

/** The path to what a `prepare` built; for `start`. */
export const prepared = <A>(peer: string, made: A | undefined): A => {
  if (made === undefined) throw new LabError("failed", `${peer} was started without being prepared`)
  return made
}

/** Gives a TUN device its address and MTU and takes it up. */
export const configureDevice = async (
  end: PairEnd,
  device: string,
  address: string,
  mtuBytes: number
): Promise<void> => {
  const inside = ["ip", "-n", end.namespace]
  await run([...inside, "address", "add", `${address}/${INNER.prefixBits}`, "dev", device])
  await run([...inside, "link", "set", device, "mtu", String(mtuBytes), "up"])
}

export const deviceExists = async (end: PairEnd, device: string): Promise<boolean> =>
  (await run(["ip", "-n", end.namespace, "-o", "link", "show"])).includes(`: ${device}:`)

const MESSAGE_CHARACTERS_MAX = 400

const firstLines = (message: string): string => {
  const one = message.replace(/\s*\n\s*/g, "; ")
  return one.length > MESSAGE_CHARACTERS_MAX ? `${one.slice(0, MESSAGE_CHARACTERS_MAX - 1)}…` : one
}
