/**
 * A member of the virtual LAN as an application sees it: it answers pings on a UDP port of its tunnel address and, in an
 * open loop, pings every peer through the tunnel. Each ping is one `op.done` event: `ok` with its round trip, `lost` when no
 * answer came in time, `no-address` while this member or its peer has no tunnel address yet, `elsewhere` while the peer is on
 * another gateway's network.
 */

import { Clock } from "@horizon/core/port/clock.ts"
import { Trace } from "@horizon/core/port/trace.ts"
import type { UdpSocket } from "@horizon/core/port/udp.ts"
import { Udp } from "@horizon/core/port/udp.ts"
import { parseAddress } from "@horizon/core/wire/address.ts"
import { Effect } from "effect"
import { Directory } from "./actor.ts"
import { openLoop } from "./open-loop.ts"

export interface TunnelMemberParams {
  /** Hosts to ping. */
  readonly peers: ReadonlyArray<string>
  /** Pings per second to each peer. */
  readonly ratePerSecond: number
  /** UDP payload bytes, at least `HEADER_BYTES`. */
  readonly bytes: number
  /** After this a ping counts as lost. */
  readonly timeoutMs: number
  /** Stop sending this long after the actor's start; the rest of the run only answers. `null` = never. */
  readonly untilMs: number | null
}

const PORT = 7007
const PING = 1
const PONG = 2
/** kind u8, three zero bytes, ping number u32 little-endian, then a text that must never be seen outside the tunnel. */
const HEADER_BYTES = 8
/** The marker by which a leak of plaintext is recognised on the underlay. */
export const PLAINTEXT_MARKER = "HORIZON-PLAINTEXT-MARKER"

interface Ping {
  readonly to: string
  readonly intendedNs: number
  readonly startedNs: number
}

export const tunnelMember = (params: TunnelMemberParams) =>
  Effect.gen(function* () {
    const clock = yield* Clock
    const udp = yield* Udp
    const directory = yield* Directory
    const trace = yield* Trace
    const socket = yield* udp.bind({ port: PORT })
    const payload = makePayload(params.bytes)
    const outstanding = new Map<number, Ping>()
    const address = new Uint32Array(4)
    const offsetNs = directory.worldNs() - clock.nowNs()
    let number = 0

    const done = (ping: Ping, endedNs: number, outcome: string): void =>
      trace("op.done", {
        actor: directory.self,
        op: "tunnel-ping",
        to: ping.to,
        intendedNs: ping.intendedNs + offsetNs,
        startedNs: ping.startedNs + offsetNs,
        endedNs: endedNs + offsetNs,
        outcome
      })
    const expire = (nowNs: number): void => {
      for (const [id, ping] of outstanding) {
        if (nowNs - ping.intendedNs < params.timeoutMs * 1e6) break
        outstanding.delete(id)
        done(ping, nowNs, "lost")
      }
    }
    const ping = (to: string, intendedNs: number, nowNs: number): void => {
      expire(nowNs)
      const peer = directory.tunnelAddress(to)
      const op = { to, intendedNs, startedNs: nowNs }
      if (peer === undefined || !parseAddress(peer, address, 0)) return done(op, nowNs, "no-address")
      if (!sameNetwork(peer, directory.tunnelAddress(directory.host))) return done(op, nowNs, "elsewhere")
      const id = number++
      outstanding.set(id, op)
      putPing(socket, payload, id, address)
      socket.send(1)
    }

    socket.onBatch((nowNs, count) => {
      let replies = 0
      for (let i = 0; i < count; i++) {
        const at = socket.rx.offset(i)
        const id = readNumber(socket.rx.slab, at)
        if (socket.rx.length[i] < HEADER_BYTES) continue
        if (socket.rx.slab[at] === PING) reply(socket, i, replies++)
        else if (outstanding.has(id)) {
          done(outstanding.get(id)!, nowNs, "ok")
          outstanding.delete(id)
        }
      }
      if (replies > 0) socket.send(replies)
    })

    const peers = params.peers
    const periodNs = Math.floor(1e9 / (params.ratePerSecond * Math.max(1, peers.length)))
    yield* openLoop({
      firstNs: clock.nowNs() + periodNs,
      periodNs,
      count:
        peers.length === 0 ? 0 : params.untilMs === null ? Number.POSITIVE_INFINITY : (params.untilMs * 1e6) / periodNs,
      operate: (index, intendedNs, nowNs) => ping(peers[index % peers.length], intendedNs, nowNs)
    })
    yield* Effect.forever(
      Effect.andThen(
        Effect.sleep(params.timeoutMs),
        Effect.sync(() => expire(clock.nowNs()))
      )
    )
  }).pipe(Effect.scoped)

/** Gateways of a lab give out addresses of one /16 each. */
const sameNetwork = (a: string, b: string | undefined): boolean =>
  b !== undefined && a.split(".", 2).join(".") === b.split(".", 2).join(".")

const makePayload = (bytes: number): Uint8Array => {
  const payload = new Uint8Array(Math.max(bytes, HEADER_BYTES))
  for (let i = HEADER_BYTES; i < payload.length; i++) {
    payload[i] = PLAINTEXT_MARKER.charCodeAt((i - HEADER_BYTES) % PLAINTEXT_MARKER.length)
  }
  return payload
}

const putPing = (socket: UdpSocket, payload: Uint8Array, id: number, address: Uint32Array): void => {
  const { tx } = socket
  payload[0] = PING
  payload[4] = id
  payload[5] = id >>> 8
  payload[6] = id >>> 16
  payload[7] = id >>> 24
  tx.slab.set(payload, 0)
  tx.length[0] = payload.length
  tx.address.set(address, 0)
  tx.port[0] = PORT
}

const readNumber = (slab: Uint8Array, at: number): number =>
  (slab[at + 4] | (slab[at + 5] << 8) | (slab[at + 6] << 16) | (slab[at + 7] << 24)) >>> 0

/** Copies received slot `from` to outgoing slot `to` as the answer. */
const reply = (socket: UdpSocket, from: number, to: number): void => {
  const { rx, tx } = socket
  const source = rx.offset(from)
  const target = tx.offset(to)
  tx.slab.set(rx.slab.subarray(source, source + rx.length[from]), target)
  tx.slab[target] = PONG
  tx.length[to] = rx.length[from]
  tx.copyPeer(to, rx, from)
}
