/** Which gateway to use: the one already used if it answers, else the nearest by measurement, else by load, else by id. */

/** A gateway that answered. */
export interface Candidate {
  readonly serverId: string
  /** Measured, median. */
  readonly rttUs: number
  /** As the broker last heard it. */
  readonly loadPpm: number
}

/** Round-trip times this close to the best count as equal: less is noise, and nobody would feel it. */
const TIE_US = 1_000
const TIE_PPM = 100_000

/** The candidate to use, `undefined` if there is none. `home` is the gateway used last, at which the member has its address. */
export const chooseServer = (candidates: ReadonlyArray<Candidate>, home: string | undefined): Candidate | undefined => {
  const atHome = candidates.find((each) => each.serverId === home)
  if (atHome !== undefined) return atHome
  const bestUs = candidates.reduce((best, each) => Math.min(best, each.rttUs), Number.POSITIVE_INFINITY)
  const limitUs = bestUs + Math.max(TIE_US, (bestUs * TIE_PPM) / 1_000_000)
  return candidates
    .filter((each) => each.rttUs <= limitUs)
    .reduce<Candidate | undefined>(
      (best, each) => (best === undefined || isBetter(each, best) ? each : best),
      undefined
    )
}

const isBetter = (a: Candidate, b: Candidate): boolean =>
  a.loadPpm !== b.loadPpm ? a.loadPpm < b.loadPpm : a.serverId < b.serverId
