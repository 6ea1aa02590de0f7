/** Finds the highest offered rate of which less than a share is lost, in a bounded number of probes. */

/** What one probe at one offered rate came to. */
export interface RateProbe {
  readonly offeredPerSecond: number
  /** What the sender really sent, which is less than offered where it is itself the limit. */
  readonly sentPerSecond: number
  readonly lossRatio: number
}

export interface RateSearch {
  readonly probe: (offeredPerSecond: number) => Promise<RateProbe>
  readonly startPerSecond: number
  /** Factor by which the rate grows as long as nothing is lost, and shrinks as long as too much is. */
  readonly growth: number
  readonly probesMax: number
  readonly lossRatioMax: number
}

export interface RateFound {
  /** The best probe that lost less than the bound; undefined if none did. */
  readonly best: RateProbe | undefined
  readonly probes: ReadonlyArray<RateProbe>
}

/** A sender that gets less far than this share of the offered rate is the limit itself. */
const KEPT_UP_RATIO = 0.9
/** The search is done when good and bad are this near to each other. */
const NEAR_RATIO = 1.05

export const searchRate = async (search: RateSearch): Promise<RateFound> => {
  const probes: Array<RateProbe> = []
  let best: RateProbe | undefined
  let badPerSecond = Number.POSITIVE_INFINITY
  let offeredPerSecond = search.startPerSecond
  while (probes.length < search.probesMax) {
    const probe = await search.probe(offeredPerSecond)
    probes.push(probe)
    if (probe.lossRatio < search.lossRatioMax) {
      if (best === undefined || probe.sentPerSecond > best.sentPerSecond) best = probe
      if (probe.sentPerSecond < KEPT_UP_RATIO * offeredPerSecond) break
    } else badPerSecond = Math.min(badPerSecond, probe.sentPerSecond)
    if (best === undefined) offeredPerSecond = badPerSecond / search.growth
    else if (badPerSecond === Number.POSITIVE_INFINITY) offeredPerSecond *= search.growth
    else if (badPerSecond < best.sentPerSecond * NEAR_RATIO) break
    else offeredPerSecond = Math.sqrt(best.sentPerSecond * badPerSecond)
  }
  return { best, probes }
}
