import { TraceLog } from "@horizon/core/lab/trace.ts"
import { describeClose } from "@horizon/core/machine/session/reasons.ts"
import { CLOSE } from "@horizon/core/machine/session/session.ts"
import { expect, test } from "vitest"
import { SOMETIMES } from "./sometimes.ts"

type Story = (trace: TraceLog) => void

const closed =
  (reason: (typeof CLOSE)[keyof typeof CLOSE]): Story =>
  (trace) =>
    trace.write(1, "gw", "session.closed", { role: "server", connectionId: 1, reason: describeClose(reason) })
const says =
  (state: string): Story =>
  (trace) =>
    trace.write(1, "client", "client.status", { state, detail: "" })
const established: Story = (trace) =>
  trace.write(3, "gw", "session.established", { role: "server", connectionId: 1, peer: "p", subject: "s" })

/** For each rare path, a trace that takes it. */
const TAKEN: Readonly<Record<string, Story>> = {
  "session-roams": (trace) => trace.write(1, "gw", "session.roamed", { connectionId: 1, from: "a", to: "b" }),
  "session-times-out": closed(CLOSE.timeout),
  "session-replaced": closed(CLOSE.replaced),
  "handshake-refused": (trace) => trace.write(1, "gw", "session.refused", { role: "server", peer: "p", reason: "" }),
  "client-degraded": says("degraded"),
  "client-reconnects": says("reconnecting"),
  "client-fails-over": (trace) => {
    for (const gateway of ["gw-1", "gw-2"])
      trace.write(1, gateway, "lease.granted", { address: "a", subject: "s", tenant: "t" })
  },
  "lease-expires": (trace) => trace.write(1, "gw", "lease.released", { address: "a", subject: "s", reason: "" }),
  "node-restarts": (trace) => trace.write(1, "gw", "node.ready", { incarnation: 2 }),
  "broker-lost": (trace) => trace.write(1, "gw", "broker-link.down", { reason: "" }),
  "gateway-serves-alone": (trace) => {
    trace.write(1, "gw", "node.ready", { incarnation: 2 })
    established(trace)
  },
  "player-leaves": (trace) => trace.write(1, "arena", "game.player-left", { player: 1, reason: "" }),
  "stale-connections": (trace) => trace.write(1, "broker", "broker.stale-connections-closed", { count: 2 })
}

test.each(Object.keys(SOMETIMES))("%s is seen in a trace that takes it, and not in one that does not", (id) => {
  const trace = new TraceLog()
  expect(SOMETIMES[id].reached(trace.events)).toBe(false)
  trace.write(0, "gw", "node.ready", { incarnation: 1 })
  established(trace)
  says("connected")(trace)
  expect(SOMETIMES[id].reached(trace.events)).toBe(false)
  TAKEN[id](trace)
  expect(SOMETIMES[id].reached(trace.events)).toBe(true)
})

test("a gateway that has reached the broker again does not serve alone", () => {
  const trace = new TraceLog()
  trace.write(1, "gw", "node.ready", { incarnation: 2 })
  trace.write(2, "gw", "broker-link.up", { afterAttempts: 0 })
  established(trace)
  expect(SOMETIMES["gateway-serves-alone"].reached(trace.events)).toBe(false)
})
