/** Sends one stream of numbered, time-stamped datagrams over a link, in an open loop, to a link meter at the other end. */

import { assert } from "@horizon/core/assert.ts"
import { Histogram } from "@horizon/core/measure/histogram.ts"
import { Clock } from "@horizon/core/port/clock.ts"
import { Trace } from "@horizon/core/port/trace.ts"
import { Udp } from "@horizon/core/port/udp.ts"
import { parseAddress } from "@horizon/core/wire/address.ts"
import { Outbox } from "@horizon/core/wire/batch.ts"
import { Effect } from "effect"
import { Directory } from "./actor.ts"
import { openLoop } from "./open-loop.ts"
import { PROBE_BYTES_MIN, writeProbe } from "./probe-datagram.ts"
import { worldOffsetNs } from "./world-time.ts"

export interface LinkProbeParams {
  /** Address and port of the meter. */
  readonly peer: string
  readonly port: number
  readonly stream: number
  /** UDP payload of each datagram, at least `PROBE_BYTES_MIN`. */
  readonly bytes: number
  /** Datagrams that leave together, and the time from one such burst to the next. */
  readonly burst: number
  readonly periodNs: number
  /** Bursts in all. */
  readonly bursts: number
}

export const linkProbe = (params: LinkProbeParams) =>
  Effect.gen(function* () {
    const clock = yield* Clock
    const udp = yield* Udp
    const trace = yield* Trace
    const directory = yield* Directory
    const { burst, bursts, bytes, periodNs, port, stream } = params
    const address = new Uint32Array(4)
    assert(parseAddress(params.peer, address, 0), `a link probe sends to an address, not to ${params.peer}`)
    assert(bytes >= PROBE_BYTES_MIN, `a probe datagram has at least ${PROBE_BYTES_MIN} bytes`)
    const socket = yield* udp.bind({ port: 0 })
    const out = new Outbox(socket.tx, (count) => socket.send(count))
    const late = new Histogram()
    const offsetNs = worldOffsetNs(directory, clock)
    const send = (index: number, intendedNs: number, nowNs: number): void => {
      late.record(nowNs - intendedNs)
      const { tx } = socket
      const sentNs = clock.nowNs() + offsetNs
      for (let i = 0; i < burst; i++) {
        const slot = out.next()
        writeProbe(tx.slab, tx.offset(slot), bytes, stream, index * burst + i, sentNs)
        tx.address.set(address, slot * 4)
        tx.port[slot] = port
        out.commit(bytes)
      }
      out.flush()
      if (index === bursts - 1) report()
    }
    const report = (): void => {
      const { dropsOut, packetsOut } = socket.stats()
      trace("link.sent", {
        sent: packetsOut,
        refused: dropsOut,
        lateP50Ns: late.percentile(50),
        lateP99Ns: late.percentile(99),
        lateMaxNs: late.max
      })
    }
    yield* openLoop({ firstNs: clock.nowNs() + periodNs, periodNs, count: bursts, operate: send })
    yield* Effect.never
  }).pipe(Effect.scoped)
