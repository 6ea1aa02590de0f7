/**
 * All links of a lab in one event loop: two devices and two ways for each, one heap of departures, one timer. A frame costs a copy into the
 * pool and no allocation.
 *
 * A timer wakes a process some tens of microseconds late, now and then some hundreds. So it is set for a little before the next departure,
 * as much as timers have been late of late, and until that has come the event loop turns without sleeping; frames that enter meanwhile are
 * taken at once.
 */

import { linkSpec } from "@horizon/core/link/spec.ts"
import type { Clock, Timer } from "@horizon/core/port/clock.ts"
import type { TunDevice } from "@horizon/core/port/tun.ts"
import { Outbox } from "@horizon/core/wire/batch.ts"
import { EventHeap } from "@horizon/sim/kernel/heap.ts"
import type { LinkWay } from "../link-driver.ts"
import type { FramePool } from "./frame-pool.ts"
import { FrameWay, type WayHost } from "./frame-way.ts"

/** How long before a departure the event loop stops sleeping. */
const MARGIN_NS = { min: 60_000, max: 500_000 } as const
/** It is somewhat more than the lateness that was seen, which is forgotten by and by. */
const MARGIN_OF_LATENESS = 1.25
const MARGIN_KEPT = 0.997

/** Handlers of the heap's events. */
const LEAVE = 0
const WAKE = 1

/** The devices of one link. */
export interface ShuttleLink {
  readonly name: string
  readonly host: TunDevice
  readonly subnet: TunDevice
}

export interface ShuttleOptions {
  readonly seed: number
  /** Whether the event loop never sleeps. */
  readonly awake: boolean
}

export class LinkShuttle implements WayHost {
  readonly pool: FramePool
  private readonly nowNs: () => number
  private readonly timer: Timer
  private readonly heap = new EventHeap()
  private sequence = 0
  private readonly ways: Array<FrameWay> = []
  /** When each way's next wake-up lies in the heap. */
  private readonly wakeNs: Array<number> = []
  private readonly byName = new Map<string, Readonly<Record<LinkWay, FrameWay>>>()
  private readonly outboxes: Array<Outbox> = []
  private readonly leaving: Array<number> = []
  private readonly awake: boolean
  private closed = false
  private spinning = false
  private marginNs: number = MARGIN_NS.max / 2
  /** When the timer should wake the process; `Infinity` = it sleeps until frames come. */
  private alarmNs = Number.POSITIVE_INFINITY

  constructor(pool: FramePool, clock: Clock["Service"], links: ReadonlyArray<ShuttleLink>, options: ShuttleOptions) {
    this.pool = pool
    this.awake = options.awake
    this.nowNs = clock.nowNs
    this.timer = clock.timer((nowNs) => {
      this.learn(nowNs - this.alarmNs)
      this.turn(nowNs)
    })
    for (const link of links) this.add(link, options.seed)
    this.rest(this.nowNs())
  }

  /** The two ways of each link. */
  get links(): ReadonlyMap<string, Readonly<Record<LinkWay, FrameWay>>> {
    return this.byName
  }

  /** Runs work that changes ways, and does what follows from it. */
  act(work: (nowNs: number) => void): void {
    work(this.nowNs())
    this.turn(this.nowNs())
  }

  /** Ends the turning of the event loop, so that the process can end. */
  close(): void {
    this.closed = true
    this.timer.cancel()
  }

  // --- WayHost

  later(way: number, frame: number, atNs: number): void {
    this.heap.push(atNs, this.sequence++, LEAVE, way, frame)
  }

  wakeAt(way: number, atNs: number): void {
    if (atNs >= this.wakeNs[way]) return
    this.wakeNs[way] = atNs
    this.heap.push(atNs, this.sequence++, WAKE, way, 0)
  }

  sent(frame: number): void {
    this.leaving.push(frame)
  }

  // --- own

  private add({ name, host, subnet }: ShuttleLink, seed: number): void {
    const toHost = new Outbox(host.tx, (count) => host.send(count))
    const toSubnet = new Outbox(subnet.tx, (count) => subnet.send(count))
    this.outboxes.push(toHost, toSubnet)
    const up = this.way(`${name}/up`, seed, toSubnet, toHost)
    const down = this.way(`${name}/down`, seed, toHost, toSubnet)
    this.byName.set(name, { up, down })
    this.listen(host, up)
    this.listen(subnet, down)
  }

  private way(name: string, seed: number, out: Outbox, back: Outbox): FrameWay {
    const way = new FrameWay(this.ways.length, name, seed, linkSpec({ mtuBytes: 0 }), this, out, back)
    this.ways.push(way)
    this.wakeNs.push(Number.POSITIVE_INFINITY)
    return way
  }

  private listen(device: TunDevice, way: FrameWay): void {
    device.onBatch((nowNs, count) => {
      const { rx } = device
      for (let i = 0; i < count; i++) way.enter(nowNs, rx.slab, rx.offset(i), rx.length[i])
      this.turn(this.nowNs())
    })
  }

  /** Lets out what is due, sends what was put into the outboxes and arms the timer. */
  private turn(nowNs: number): void {
    const { heap } = this
    while (heap.nextTime() <= nowNs && heap.pop()) {
      const way = this.ways[heap.poppedA]
      if (heap.poppedHandler === LEAVE) way.leave(heap.poppedB)
      else if (this.wakeNs[heap.poppedA] === heap.poppedTime) {
        this.wakeNs[heap.poppedA] = Number.POSITIVE_INFINITY
        way.wake(nowNs)
      }
    }
    for (const outbox of this.outboxes) outbox.flush()
    for (const frame of this.leaving) this.pool.give(frame)
    this.leaving.length = 0
    this.rest(nowNs)
  }

  /** Sleeps until shortly before the next departure, or turns the loop until it has come. */
  private rest(nowNs: number): void {
    if (this.spinning || this.closed) return
    const nextNs = this.heap.nextTime()
    if (nextNs - nowNs > this.marginNs && !this.awake) {
      this.alarmNs = nextNs - this.marginNs
      this.timer.arm(this.alarmNs)
    } else {
      this.spinning = true
      setImmediate(this.onSpin)
    }
  }

  private learn(lateNs: number): void {
    const wantedNs = Math.max(this.marginNs * MARGIN_KEPT, lateNs * MARGIN_OF_LATENESS)
    this.marginNs = Math.min(MARGIN_NS.max, Math.max(MARGIN_NS.min, wantedNs))
  }

  private readonly onSpin = (): void => {
    this.spinning = false
    const nowNs = this.nowNs()
    if (this.heap.nextTime() <= nowNs) this.turn(nowNs)
    else this.rest(nowNs)
  }
}
