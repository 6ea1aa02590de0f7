/**
 * What the client says about itself. It says `connected` only when an answer has come back through the tunnel, and when that
 * was: a session that is up, a link that is up or a broker that answers is not yet a tunnel that works.
 */

import { assert } from "@horizon/core/assert.ts"
import type { TraceWriter } from "@horizon/core/port/trace.ts"
import { Context } from "effect"

export type ClientState =
  | "stopped"
  /** Asks the broker for servers or a ticket. */
  | "contacting-broker"
  /** Measures the gateways. */
  | "choosing"
  /** Shakes hands with a gateway, or the session is up and not proved yet. */
  | "connecting"
  /** Proved through the tunnel within the last seconds. */
  | "connected"
  /** The session is up, but no proof came for some seconds. */
  | "degraded"
  /** The tunnel is lost; it is tried again. */
  | "reconnecting"
  /** Somebody said no; a person must act. It is tried again now and then. */
  | "refused"

/** How the broker was when it was last asked. */
export interface BrokerView {
  readonly state: "unknown" | "reachable" | "away" | "refused"
  /** Why it is not reachable and what to do; empty otherwise. */
  readonly message: string
}

export interface ClientStatus {
  readonly state: ClientState
  /** What happens and, if somebody must act, what to do: sentences for people. */
  readonly detail: string
  /** Name of the gateway, empty before one was chosen. */
  readonly server: string
  /** Own address in the tunnel, `a.b.c.d/n`; empty before the first session. */
  readonly address: string
  /** Monotonic time of the last proof through the tunnel; `null` = never. */
  readonly provedNs: number | null
  /** Round-trip time of the last proof. */
  readonly rttUs: number
  readonly broker: BrokerView
}

/** Where the status goes besides the trace: a command line, a window. Called at each change and at each proof. */
export const StatusSink = Context.Reference<(status: ClientStatus) => void>("horizon/client/StatusSink", {
  defaultValue: () => () => {}
})

/** Age of a proof above which the client must not say `connected`; the prover calls it stale before. */
const PROOF_AGE_MAX_NS = 5_000_000_000

export class StatusBoard {
  status: ClientStatus = {
    state: "stopped",
    detail: "not started",
    server: "",
    address: "",
    provedNs: null,
    rttUs: 0,
    broker: { state: "unknown", message: "" }
  }
  private readonly trace: TraceWriter
  private readonly sink: (status: ClientStatus) => void

  constructor(trace: TraceWriter, sink: (status: ClientStatus) => void) {
    this.trace = trace
    this.sink = sink
  }

  /** Every state but `connected`, which needs a proof. */
  set(state: Exclude<ClientState, "connected">, detail: string): void {
    this.publish({ ...this.status, state, detail })
  }

  server(name: string): void {
    this.status = { ...this.status, server: name }
  }

  address(cidr: string): void {
    this.status = { ...this.status, address: cidr }
  }

  /** An answer has come back through the tunnel at `provedNs`, which is not long ago at `nowNs`. */
  proved(nowNs: number, provedNs: number, rttUs: number): void {
    assert(nowNs - provedNs < PROOF_AGE_MAX_NS, "the client says connected only on a fresh proof")
    this.publish({ ...this.status, state: "connected", detail: this.connectedDetail(), provedNs, rttUs })
  }

  /** How the broker answered. While connected, an absent broker is said beside it. */
  broker(view: BrokerView): void {
    const broker = view
    this.status = { ...this.status, broker }
    if (this.status.state === "connected") this.publish({ ...this.status, detail: this.connectedDetail() })
  }

  private connectedDetail(): string {
    const { server, address, broker } = this.status
    const tunnel = `The tunnel to ${server} works; this device is ${address}.`
    if (broker.state === "unknown" || broker.state === "reachable") return tunnel
    return `${tunnel} The broker is not available, which does not disturb it: ${broker.message}`
  }

  private publish(status: ClientStatus): void {
    const changed = status.state !== this.status.state || status.detail !== this.status.detail
    this.status = status
    if (changed) this.trace("client.status", { state: status.state, detail: status.detail })
    this.sink(status)
  }
}
