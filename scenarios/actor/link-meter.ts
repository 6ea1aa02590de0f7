/** Receives one stream of a link probe and says at the end what came of it. The delays are one-way: both ends read one clock, that of the world. */

import { Clock } from "@horizon/core/port/clock.ts"
import { Trace } from "@horizon/core/port/trace.ts"
import { Udp } from "@horizon/core/port/udp.ts"
import { Effect } from "effect"
import { Directory } from "./actor.ts"
import { LinkTally } from "./link-tally.ts"
import { isProbe, probeSentNs, probeSequence } from "./probe-datagram.ts"
import { worldOffsetNs } from "./world-time.ts"

export interface LinkMeterParams {
  readonly port: number
  readonly stream: number
  /** Datagrams of the stream, and the first of them that are not measured. */
  readonly count: number
  readonly settle: number
  /** When it reports, from its start. */
  readonly reportAfterMs: number
}

export const linkMeter = (params: LinkMeterParams) =>
  Effect.gen(function* () {
    const clock = yield* Clock
    const udp = yield* Udp
    const trace = yield* Trace
    const directory = yield* Directory
    const socket = yield* udp.bind({ port: params.port, timestamps: true })
    const { rx, waitedNs } = socket
    const tally = new LinkTally(params)
    const offsetNs = worldOffsetNs(directory, clock)
    socket.onBatch((nowNs, count) => {
      for (let i = 0; i < count; i++) {
        const at = rx.offset(i)
        if (!isProbe(rx.slab, at, rx.length[i], params.stream)) continue
        // Where the system notes when a datagram came, this process's own wake-up is not taken for delay of the link.
        const arrivedNs = nowNs + offsetNs - (waitedNs?.[i] ?? 0)
        tally.note(probeSequence(rx.slab, at), probeSentNs(rx.slab, at), arrivedNs, rx.length[i])
      }
    })
    yield* Effect.sleep(params.reportAfterMs)
    trace("link.received", tally.figures())
  }).pipe(Effect.scoped)
