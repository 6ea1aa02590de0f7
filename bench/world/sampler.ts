/** Samples a lab's network of sim/net once a second: throughput and queue of every access link that is not a perfect wire. */

import type { TraceLog } from "@horizon/core/lab/trace.ts"
import type { Kernel } from "@horizon/sim/kernel/kernel.ts"
import type { Network } from "@horizon/sim/net/network.ts"

const PERIOD_NS = 1e9
/** Links sampled; a lab of hundreds of hosts would drown its report. */
const LINKS_MAX = 64

/** What is sampled, and where the samples go. */
export interface SampledLab {
  readonly kernel: Kernel
  readonly network: Network
  readonly trace: TraceLog
}

export const sampleNetwork = (lab: SampledLab): void => {
  const links = lab.network.interfaces.flatMap((own) => [own.up, own.down]).slice(0, LINKS_MAX)
  const before = links.map(() => 0)
  const sample = (): void => {
    links.forEach((access, index) => {
      const { link } = access
      const bytes = link.counters.bytes
      const mbps = ((bytes - before[index]) * 8) / (PERIOD_NS / 1e3)
      before[index] = bytes
      lab.trace.write(lab.kernel.nowNs, "world", "sample", {
        name: `throughput ${access.name}`,
        value: mbps,
        unit: "Mbit/s"
      })
      lab.trace.write(lab.kernel.nowNs, "world", "sample", {
        name: `queue ${access.name}`,
        value: link.queueBytes,
        unit: "bytes"
      })
    })
    lab.kernel.callAt(lab.kernel.nowNs + PERIOD_NS, sample)
  }
  lab.kernel.callAt(PERIOD_NS, sample)
}
