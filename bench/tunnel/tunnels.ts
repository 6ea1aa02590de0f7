/**
 * The tunnel benchmark: every subject is measured once, then every subject again, so that a busy moment of the machine does not fall on
 * one of them alone; medians of the rounds are compared.
 */

import type { BenchEffort } from "@horizon/core/measure/bench.ts"
import { median } from "../net/median.ts"
import { pairMissing } from "../net/pair.ts"
import type { Peer, Prepared } from "../peers/peer.ts"
import { PEERS } from "../peers/registry.ts"
import { UnknownName } from "../runner/plan.ts"
import {
  type FigureSpec,
  type Figures,
  figureSpecs,
  type TunnelComparison,
  type TunnelRound,
  type TunnelSubject
} from "./comparison.ts"
import { WARM_UP_SECONDS } from "./round-trip.ts"
import { measureRound, type RoundOptions } from "./subject-round.ts"

export interface TunnelsOptions {
  /** Names of `PEERS`; all but those of `ASKED_FOR_ONLY` if left out. */
  readonly subjects?: ReadonlyArray<string>
  readonly rounds?: number
  /** Whole seconds of each TCP test; 1 if left out. */
  readonly seconds?: number
  /** Payloads of the UDP tests; 200 and 1,200 if left out. */
  readonly udpBytes?: ReadonlyArray<number>
  readonly effort?: BenchEffort
  readonly signal?: AbortSignal
  readonly onProgress?: (sentence: string) => void
}

/** Tells little that the others do not. */
export const ASKED_FOR_ONLY = ["tun-tso"]

const ROUNDS = 3
const UDP_BYTES = [200, 1_200]

/** Rejects with a `LabError` where no tunnel at all can be measured, with an `UnknownName` for a subject that there is not. */
export const measureTunnels = async (options: TunnelsOptions = {}): Promise<TunnelComparison> => {
  const { signal, effort = "record", onProgress = () => {}, rounds = ROUNDS } = options
  const seconds = options.seconds ?? 1
  const udpBytes = options.udpBytes ?? UDP_BYTES
  const entries = await prepareAll(choose(options.subjects), onProgress, signal)
  for (let index = 0; index < rounds; index++) {
    for (const entry of entries) {
      if ("missing" in entry.state) continue
      signal?.throwIfAborted()
      onProgress(`round ${index + 1} of ${rounds}: ${entry.peer.name}`)
      const known = medianFigures(entry.rounds)
      const lengths = lengthsOf(effort, entry.rounds.length === 0)
      const { round, mtuBytes } = await measureRound(entry.peer, { seconds, udpBytes, known, signal, ...lengths })
      entry.rounds.push(round)
      entry.mtuBytes ??= mtuBytes
    }
  }
  const figures = figureSpecs(udpBytes)
  return {
    idleRatio: median(entries.flatMap((entry) => entry.rounds.map((round) => round.idleRatio))),
    rounds,
    figures,
    subjects: compare(entries, figures)
  }
}

/**
 * The first round of a subject searches widely, later ones around what is known. A glance looks whether everything works, so it does not
 * wait until a subject is warm.
 */
const lengthsOf = (
  effort: BenchEffort,
  first: boolean
): Pick<RoundOptions, "streams" | "probeSeconds" | "probesMax" | "warmUpSeconds" | "pingSeconds"> => {
  switch (effort) {
    case "record":
      return {
        streams: [1, 4],
        probeSeconds: 0.5,
        probesMax: first ? 8 : 5,
        warmUpSeconds: WARM_UP_SECONDS,
        pingSeconds: 1
      }
    case "quick":
      return { streams: [1, 4], probeSeconds: 0.3, probesMax: 5, warmUpSeconds: WARM_UP_SECONDS, pingSeconds: 0.4 }
    case "glance":
      return { streams: [1], probeSeconds: 0.05, probesMax: 2, warmUpSeconds: 0.1, pingSeconds: 0.1 }
  }
}

const choose = (names: ReadonlyArray<string> | undefined): ReadonlyArray<Peer> => {
  if (names === undefined) return PEERS.filter((peer) => !ASKED_FOR_ONLY.includes(peer.name))
  for (const name of names) {
    if (!PEERS.some((peer) => peer.name === name)) {
      throw new UnknownName(`there is no subject "${name}"; choose from ${PEERS.map((peer) => peer.name).join(", ")}`)
    }
  }
  return PEERS.filter((peer) => names.includes(peer.name))
}

interface Entry {
  readonly peer: Peer
  readonly state: Prepared
  readonly rounds: Array<TunnelRound>
  mtuBytes: number | undefined
}

const prepareAll = async (
  peers: ReadonlyArray<Peer>,
  onProgress: (sentence: string) => void,
  signal: AbortSignal | undefined
): Promise<ReadonlyArray<Entry>> => {
  const everywhere = pairMissing()
  const entries: Array<Entry> = []
  for (const peer of peers) {
    signal?.throwIfAborted()
    const state = everywhere === undefined ? await peer.prepare(onProgress) : { missing: everywhere }
    entries.push({ peer, state, rounds: [], mtuBytes: undefined })
  }
  return entries
}

const compare = (entries: ReadonlyArray<Entry>, specs: ReadonlyArray<FigureSpec>): ReadonlyArray<TunnelSubject> => {
  const medians = new Map(entries.map((entry) => [entry.peer.name, medianFigures(entry.rounds)]))
  const horizon = medians.get("horizon") ?? {}
  const floor = bestOf(
    entries.filter((entry) => entry.peer.kind === "floor").map((entry) => medians.get(entry.peer.name)!),
    specs
  )
  return entries.map(({ peer, state, rounds, mtuBytes }) => {
    const own = medians.get(peer.name)!
    return {
      name: peer.name,
      title: peer.title,
      kind: peer.kind,
      ...state,
      ...(mtuBytes === undefined ? {} : { mtuBytes }),
      rounds,
      median: own,
      ratioToHorizon: ratios(own, horizon),
      ratioToFloor: ratios(own, floor)
    }
  })
}

/** The median of each figure over the rounds in which it is there. */
export const medianFigures = (rounds: ReadonlyArray<TunnelRound>): Figures => {
  const names = new Set(rounds.flatMap((round) => Object.keys(round.figures)))
  const valuesOf = (name: string): ReadonlyArray<number> =>
    rounds.map((round) => round.figures[name]).filter((value) => value !== undefined)
  return Object.fromEntries([...names].map((name) => [name, median(valuesOf(name))]))
}

/** The best of each figure over several subjects. */
export const bestOf = (subjects: ReadonlyArray<Figures>, specs: ReadonlyArray<FigureSpec>): Figures => {
  const best: Record<string, number> = {}
  for (const { name, better } of specs) {
    const values = subjects.map((figures) => figures[name]).filter((value) => value !== undefined)
    if (values.length > 0) best[name] = better === "more" ? Math.max(...values) : Math.min(...values)
  }
  return best
}

/** Each figure by that of another subject, where both have it. */
export const ratios = (own: Figures, other: Figures): Figures =>
  Object.fromEntries(
    Object.entries(own)
      .filter(([name]) => other[name] !== undefined && other[name] > 0)
      .map(([name, value]) => [name, value / other[name]])
  )
