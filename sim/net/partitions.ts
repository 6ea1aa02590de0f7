/**
 * Who cannot reach whom. Counted for each ordered pair of hosts, so that overlapping partitions heal one by one.
 *
 * A packet is judged where it arrives, by the host that sent it: that is exact behind address translation too. What routers
 * send themselves (ICMP errors) has no origin and always passes.
 */
export class Partitions {
  private readonly hosts: number
  /** Number of partitions between each pair, row = sender; made on first use, because most runs have none. */
  private pairs: Uint16Array | undefined
  private active = 0

  constructor(hosts: number) {
    this.hosts = hosts
  }

  /** Whether a packet of host `from` may not reach host `to`. */
  blocks(from: number, to: number): boolean {
    return this.active > 0 && from >= 0 && this.pairs![from * this.hosts + to] > 0
  }

  /** Cuts every path from a host of `from` to a host of `to`, both given as indices; the returned function heals it, once. */
  cut(from: ReadonlyArray<number>, to: ReadonlyArray<number>): () => void {
    const pairs = (this.pairs ??= new Uint16Array(this.hosts * this.hosts))
    for (const a of from) for (const b of to) pairs[a * this.hosts + b]++
    this.active++
    let healed = false
    return () => {
      if (healed) return
      healed = true
      for (const a of from) for (const b of to) pairs[a * this.hosts + b]--
      this.active--
    }
  }
}
