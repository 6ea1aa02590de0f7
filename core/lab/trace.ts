/**
 * The one typed trace of a run. Nodes, actors, the network and the fault driver write it; checks, logs and reports read it.
 * It is the same in every world, so a check is a pure function that does not know where the run took place.
 */

/** Fields of each kind of event. Times inside fields are world time in integer nanoseconds unless the name says otherwise. */
export interface TraceFields {
  // --- life of nodes, written by the world
  "node.started": { readonly incarnation: number }
  "node.ready": { readonly incarnation: number }
  /** The node stands still, as by SIGSTOP: what it said last is not what it says now. */
  "node.paused": { readonly incarnation: number }
  "node.resumed": { readonly incarnation: number }
  "node.stopped": {
    readonly incarnation: number
    readonly outcome: "clean" | "crashed" | "failed"
    readonly cause: string
  }

  // --- faults, written by the world
  "fault.began": { readonly index: number; readonly words: string }
  "fault.ended": { readonly index: number; readonly words: string }
  /** Safety phase over: faults have stopped, the liveness clock runs. */
  "phase.liveness": Record<string, never>

  // --- broker
  "broker.request": { readonly route: string; readonly status: number; readonly durationNs: number }
  "broker.server-registered": { readonly serverId: string; readonly name: string }
  /** A server came back on other hardware than it was known on, or on partly other. */
  "broker.fingerprint-changed": { readonly serverId: string; readonly how: "changed-partly" | "changed" }
  "broker.ticket-issued": {
    readonly ticketId: string
    readonly serverId: string
    readonly deviceId: string
    readonly expiresMs: number
  }
  "broker.heartbeat": { readonly serverId: string }
  "broker.server-offline": { readonly serverId: string }
  "broker.stale-connections-closed": { readonly count: number }

  // --- any node that talks to the broker
  "broker-link.up": { readonly afterAttempts: number }
  "broker-link.down": { readonly reason: string }
  "broker-link.attempt": { readonly outcome: "ok" | "failed"; readonly what: string; readonly reason: string }

  // --- sessions (gateway, client, game server, player)
  "session.established": {
    readonly role: "server" | "client"
    readonly connectionId: number
    readonly peer: string
    readonly subject: string
  }
  "session.refused": { readonly role: "server" | "client"; readonly peer: string; readonly reason: string }
  "session.closed": { readonly role: "server" | "client"; readonly connectionId: number; readonly reason: string }
  "session.roamed": { readonly connectionId: number; readonly from: string; readonly to: string }

  // --- gateway
  "lease.granted": { readonly address: string; readonly subject: string; readonly tenant: string }
  "lease.released": { readonly address: string; readonly subject: string; readonly reason: string }

  // --- client
  "client.status": { readonly state: string; readonly detail: string }
  /** The virtual interface has this address from now on, as `a.b.c.d/n`; empty: it is gone. */
  "client.interface": { readonly name: string; readonly address: string }
  "client.server-chosen": { readonly serverId: string; readonly rttUs: number; readonly among: number }

  // --- game
  "game.player-joined": { readonly player: number; readonly subject: string }
  "game.player-left": { readonly player: number; readonly reason: string }
  "game.speed-corrected": { readonly player: number; readonly tick: number; readonly overMm: number }
  "game.tick-late": { readonly tick: number; readonly lateNs: number; readonly skipped: number }
  /** A player says that it sees something else than the server told it, at an acknowledged snapshot. */
  "game.view-unequal": { readonly player: number; readonly ordinal: number }

  // --- actors: open-loop load. `intendedNs` is when the operation was due, whether or not it could start then.
  "op.done": {
    readonly actor: string
    readonly op: string
    /** The peer or route that the operation went to. */
    readonly to: string
    readonly intendedNs: number
    readonly startedNs: number
    readonly endedNs: number
    readonly outcome: string
  }
  /** Many operations of one kind over one interval, as a histogram: `counts[i]` values in bucket `indices[i]` (measure/histogram). */
  "op.histogram": {
    readonly actor: string
    readonly op: string
    readonly fromNs: number
    readonly indices: ReadonlyArray<number>
    readonly counts: ReadonlyArray<number>
    readonly sent: number
    readonly lost: number
  }
  /** One stream over a link, as its sender saw it: datagrams that the host took and refused, and how late it was to send them. */
  "link.sent": {
    readonly sent: number
    readonly refused: number
    readonly lateP50Ns: number
    readonly lateP99Ns: number
    readonly lateMaxNs: number
  }
  /** The same stream as its receiver saw it. Reordering is that of RFC 4737 §3; `lossRuns` are gaps in the numbering, each counted once. */
  "link.received": {
    readonly received: number
    readonly duplicates: number
    readonly reordered: number
    readonly lossRuns: number
    /** Payload bits per second once the stream had settled; `samples` datagrams are what the delays are of. */
    readonly goodputBps: number
    readonly samples: number
    readonly delayMinNs: number
    readonly delayP50Ns: number
    readonly delayP99Ns: number
    readonly delayMaxNs: number
  }
  /** A figure sampled at this moment: queue depth, throughput, players, … */
  sample: { readonly name: string; readonly value: number; readonly unit: string }
  /** What an actor states about the run: compared by checks. */
  fact: { readonly name: string; readonly value: string | number | boolean }

  // --- invariants that are watched while the run goes on
  "invariant.broken": { readonly id: string; readonly sentence: string }

  // --- the moment around which a report draws its sequence diagram
  message: { readonly to: string; readonly label: string; readonly bytes: number; readonly lost: string }
}

export type TraceKind = keyof TraceFields

/** One event. Ids count from 0 in the order of writing; `node` is the node, actor, or `world` that wrote it. */
export type TraceEvent = {
  [K in TraceKind]: {
    readonly id: number
    readonly atNs: number
    readonly node: string
    readonly kind: K
    readonly fields: TraceFields[K]
  }
}[TraceKind]

/** How many times each invariant was checked and how often it failed: the proof that a pass looked at something. */
export interface InvariantCount {
  readonly id: string
  readonly sentence: string
  readonly checked: number
  readonly broken: number
}

/** An append-only trace with a bound: what is over it is counted, not kept. */
export class TraceLog {
  readonly events: Array<TraceEvent> = []
  /** Events over the bound. */
  dropped = 0
  private readonly eventsMax: number

  constructor(eventsMax: number = 2_000_000) {
    this.eventsMax = eventsMax
  }

  write<K extends TraceKind>(atNs: number, node: string, kind: K, fields: TraceFields[K]): void {
    if (this.events.length >= this.eventsMax) {
      this.dropped++
      return
    }
    this.events.push({ id: this.events.length, atNs, node, kind, fields } as TraceEvent)
  }
}
