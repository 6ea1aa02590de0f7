/**
 * One direction of a network link as data, in the words of tc-netem(8), tc-tbf(8), tc-codel(8).
 *
 * The same record becomes a simulated link, a `tc` command line or the arguments of the user-space link process.
 * Every field is optional in a scenario; `linkSpec` fills in the defaults (a perfect, instant, unlimited link).
 * Probabilities are integer parts per million, so that decisions replay exactly.
 */

/**
 * Burst loss: the four-parameter Gilbert-Elliott model (netem `loss gemodel p r 1-h 1-k`). The chain starts in the good
 * state and takes one step per packet. In the long run it is bad for a share of p / (p + r), for 1 / r packets at a time.
 */
export interface GilbertElliott {
  /** Probability per packet of going from the good to the bad state. */
  readonly goodToBadPpm: number
  /** Probability per packet of going from the bad to the good state. */
  readonly badToGoodPpm: number
  /** Loss probability in the bad state (1-h). */
  readonly lossBadPpm: number
  /** Loss probability in the good state (1-k). */
  readonly lossGoodPpm: number
}

/**
 * Distribution of the jitter around the delay, as netem's `distribution` tables (jitter.ts has their definitions). All are
 * cut at four times the jitter; `pareto` and `paretonormal` lean to a long tail of late packets.
 */
export type JitterDistribution = "uniform" | "normal" | "pareto" | "paretonormal"

/** What packets that jitter would let overtake each other do. */
export type Reordering =
  /** Each packet keeps its own delay; overtaking happens (netem without a rate). */
  | "allowed"
  /** A packet never leaves before one that entered earlier; it waits for it, and that wait counts as jitter. */
  | "forbidden"

/**
 * netem `reorder PERCENT gap N`: `gap - 1` packets keep their delay; from then on each packet skips delay and jitter with
 * the given probability, and the count starts again. At 1,000,000 ppm it is exactly every N-th packet.
 */
export interface ReorderGap {
  readonly gap: number
  readonly ppm: number
}

/**
 * The queue in front of the shaper. Its bounds count packets that wait, without framing; the packet being serialised has
 * left the queue, so a link whose bounds are 0 still passes what finds its shaper idle. Without a shaper nothing waits.
 */
export type QueueSpec =
  | { readonly kind: "droptail"; readonly packetsMax: number; readonly bytesMax: number }
  /** RFC 8289: what waited `targetUs` or longer for an interval is thinned. `ecn` marks ECN-capable packets instead. */
  | {
      readonly kind: "codel"
      readonly packetsMax: number
      readonly bytesMax: number
      readonly targetUs: number
      readonly intervalUs: number
      readonly ecn: boolean
    }

/** One direction of a link, complete. */
export interface LinkSpec {
  /** Propagation delay. */
  readonly delayUs: number
  /** Half-width of `uniform`, standard deviation of `normal`, scale of the others (whose deviation is 0.82 of it); 0 = none. */
  readonly jitterUs: number
  readonly distribution: JitterDistribution
  readonly reordering: Reordering
  readonly reorderGap: ReorderGap | null
  /** Independent loss. */
  readonly lossPpm: number
  readonly burstLoss: GilbertElliott | null
  /** Ordinals (from 0, per link direction) of packets to drop: for scripted tests. */
  readonly dropList: ReadonlyArray<number>
  /** Chance that one bit is flipped somewhere in the packet. */
  readonly corruptPpm: number
  /** Chance that the packet is cut to a random shorter length, at least one byte. */
  readonly truncatePpm: number
  /** Chance that a copy follows the packet; the copy is not copied again. */
  readonly duplicatePpm: number
  /** Shaper rate in bits per second, 0 = unlimited. */
  readonly rateBps: number
  /** Framing counted by the shaper for each packet (Ethernet on the wire: 38 with preamble and gap). */
  readonly overheadBytes: number
  /**
   * Delivery opportunities instead of a rate: ascending milliseconds at each of which 1,504 bytes may leave (mahimahi's
   * form). The list repeats after its last time and starts when the link takes it over. What is not used is lost.
   */
  readonly deliveryTraceMs: ReadonlyArray<number>
  readonly queue: QueueSpec
  /** Largest IP packet that passes; 0 = any. Looked at last, so an oversized packet has taken its time on the link. */
  readonly mtuBytes: number
  /** Whether a packet above the MTU is answered by ICMP "fragmentation needed" (false = black hole). */
  readonly mtuAnswer: boolean
}

/** The perfect link: what every field not named in a scenario means. */
export const PERFECT_LINK: LinkSpec = {
  delayUs: 0,
  jitterUs: 0,
  distribution: "normal",
  reordering: "allowed",
  reorderGap: null,
  lossPpm: 0,
  burstLoss: null,
  dropList: [],
  corruptPpm: 0,
  truncatePpm: 0,
  duplicatePpm: 0,
  rateBps: 0,
  overheadBytes: 0,
  deliveryTraceMs: [],
  queue: { kind: "droptail", packetsMax: 1000, bytesMax: 1_500_000 },
  mtuBytes: 1500,
  mtuAnswer: true
}

/** A link with the given fields, the rest perfect. */
export const linkSpec = (change: Partial<LinkSpec> = {}): LinkSpec => ({ ...PERFECT_LINK, ...change })
