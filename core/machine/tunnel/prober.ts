/**
 * Measures round-trip times to servers without troubling them: each probe is a HELLO without a cookie, which a server answers by
 * a RETRY and forgets (docs/wire). The RETRY carries the random bytes of its HELLO, so answers are matched exactly, and only
 * who saw the probe can answer it.
 */

import { assert } from "../../assert.ts"
import { type Endpoint, parseAddress } from "../../wire/address.ts"
import type { DatagramBatch, Outbox } from "../../wire/batch.ts"
import { DROP } from "../../wire/drop.ts"
import {
  checkRetry,
  HELLO,
  HELLO_BYTES,
  KEY_BYTES,
  KIND,
  kindAt,
  PROTOCOL_VERSION,
  putHello,
  RANDOM_BYTES,
  RETRY,
  SUITE
} from "../../wire/handshake.ts"
import { checkHeader, isSealed } from "../../wire/header.ts"

/** Most servers that are measured at once. */
export const PROBE_TARGETS_MAX = 32
/** Probes to each server. */
export const PROBE_ROUNDS = 3

const SPACING_NS = 100_000_000
/** How long the last answers are waited for. */
const TIMEOUT_NS = 700_000_000

export interface ProbeTarget {
  readonly id: string
  readonly endpoint: Endpoint
}

export interface ProberOptions {
  /** At most PROBE_TARGETS_MAX. */
  readonly targets: ReadonlyArray<ProbeTarget>
  /** As soon as this server has answered, no more is waited for. */
  readonly preferred: string | undefined
  readonly fill: (bytes: Uint8Array) => void
  readonly outbox: Outbox
  /** Where datagrams are counted; whoever measures again and again has them in one place. */
  readonly counts?: ProbeCounts
  /** Called once, when all has been answered or waited for. */
  readonly onDone: () => void
}

/** Datagrams of probers: all that they sent, and all that they were handed. */
export class ProbeCounts {
  sent = 0
  /** Answers to probes, once each. */
  answered = 0
  /** Anything else: a second answer, one that came too late, what nobody asked for. */
  stray = 0
}

interface Probe {
  readonly random: Uint8Array
  readonly sentNs: number
  rttNs: number
}

interface Target {
  readonly id: string
  readonly words: Uint32Array
  readonly port: number
  readonly probes: Array<Probe>
}

export class Prober {
  done = false
  private readonly options: ProberOptions
  private readonly counts: ProbeCounts
  private readonly targets: ReadonlyArray<Target>
  private readonly hello = new Uint8Array(HELLO_BYTES)
  private readonly ephemeral = new Uint8Array(KEY_BYTES)
  private nextNs: number

  /** The first probes are due at `nowNs`. Targets whose address is none are never answered. */
  constructor(nowNs: number, options: ProberOptions) {
    assert(options.targets.length <= PROBE_TARGETS_MAX, "not too many servers are measured at once")
    this.options = options
    this.counts = options.counts ?? new ProbeCounts()
    this.nextNs = nowNs
    this.targets = options.targets.map(({ id, endpoint }) => {
      const words = new Uint32Array(4)
      parseAddress(endpoint.address, words, 0)
      return { id, words, port: endpoint.port, probes: [] }
    })
    options.fill(this.ephemeral)
  }

  /** Median round-trip time of each server that answered, microseconds, in the order of the targets. */
  results(): ReadonlyMap<string, number> {
    const results = new Map<string, number>()
    for (const { id, probes } of this.targets) {
      const rtts = probes.filter((probe) => probe.rttNs >= 0).map((probe) => probe.rttNs)
      if (rtts.length === 0) continue
      rtts.sort((a, b) => a - b)
      results.set(id, Math.round(rtts[Math.floor((rtts.length - 1) / 2)] / 1_000))
    }
    return results
  }

  handleDatagram(nowNs: number, batch: DatagramBatch, index: number): void {
    const probe = this.done ? undefined : this.probeAnsweredBy(batch, index)
    if (probe === undefined) {
      this.counts.stray++
      return
    }
    this.counts.answered++
    probe.rttNs = nowNs - probe.sentNs
    if (this.isAnswered()) this.finish()
  }

  private probeAnsweredBy(batch: DatagramBatch, index: number): Probe | undefined {
    const at = batch.offset(index)
    const length = batch.length[index]
    const { slab } = batch
    if (checkHeader(slab, at, length) !== DROP.none || isSealed(slab, at)) return undefined
    if (kindAt(slab, at, length) !== KIND.retry || checkRetry(slab, at, length) !== DROP.none) return undefined
    for (const { probes } of this.targets)
      for (const probe of probes) if (probe.rttNs < 0 && sameBytes(probe.random, slab, at + RETRY.random)) return probe
    return undefined
  }

  handleTimeout(nowNs: number): void {
    if (this.done || nowNs < this.nextNs) return
    const round = this.targets.length === 0 ? PROBE_ROUNDS : this.targets[0].probes.length
    if (round === PROBE_ROUNDS) return this.finish()
    for (const target of this.targets) this.probe(nowNs, target)
    this.nextNs = nowNs + (round === PROBE_ROUNDS - 1 ? TIMEOUT_NS : SPACING_NS)
  }

  pollTimeout(): number {
    return this.done ? Number.POSITIVE_INFINITY : this.nextNs
  }

  /** A prober has no session events. */
  pollEvent(): undefined {
    return undefined
  }

  private probe(nowNs: number, target: Target): void {
    const random = new Uint8Array(RANDOM_BYTES)
    this.options.fill(random)
    target.probes.push({ random, sentNs: nowNs, rttNs: -1 })
    this.hello.fill(0)
    putHello(this.hello, [PROTOCOL_VERSION], [SUITE.x25519ChaCha20Poly1305], random, this.ephemeral)
    assert(this.hello[HELLO.cookieLength] === 0, "a probe carries no cookie, so the server keeps nothing")
    const { outbox } = this.options
    const slot = outbox.next()
    outbox.batch.slab.set(this.hello, outbox.batch.offset(slot))
    outbox.batch.address.set(target.words, slot * 4)
    outbox.batch.port[slot] = target.port
    outbox.batch.ecn[slot] = 0
    outbox.commit(HELLO_BYTES)
    this.counts.sent++
  }

  private isAnswered(): boolean {
    let all = true
    for (const { id, probes } of this.targets) {
      const answers = probes.filter((probe) => probe.rttNs >= 0).length
      if (id === this.options.preferred && answers > 0) return true
      if (answers < PROBE_ROUNDS) all = false
    }
    return all
  }

  private finish(): void {
    this.done = true
    this.options.onDone()
  }
}

const sameBytes = (random: Uint8Array, slab: Uint8Array, at: number): boolean => {
  for (let i = 0; i < RANDOM_BYTES; i++) if (random[i] !== slab[at + i]) return false
  return true
}
