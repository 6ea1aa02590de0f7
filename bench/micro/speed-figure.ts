/** What a benchmark of the simulator's speed comes to. */

/** One line of the table. */
export interface SpeedFigure {
  readonly work: string
  readonly eventsPerSecond: number
  readonly packetsPerSecond: number
  /** Simulated seconds per real second. */
  readonly ratio: number
  /** What the figure that counts is compared with. */
  readonly must: number
  readonly unit: "packets/s" | "× real time" | "seeds/s"
  /** The figure that counts. */
  readonly value: number
}
