import { LINK_DROP, Link } from "@horizon/core/link/link.ts"
import { FIRST_COPY, RecordingSink } from "@horizon/core/link/recording-sink.ts"
import { type LinkSpec, linkSpec } from "@horizon/core/link/spec.ts"
import type { Timer } from "@horizon/core/port/clock.ts"
import type { TunDevice } from "@horizon/core/port/tun.ts"
import { DatagramBatch } from "@horizon/core/wire/batch.ts"
import { Kernel } from "@horizon/sim/kernel/kernel.ts"
import { expect, test } from "vitest"
import { FRAME_BYTES_MAX } from "./ether.ts"
import { FramePool } from "./frame-pool.ts"
import { arp, frame, headerIsSound, numberOf } from "./frames.fixture.ts"
import { LinkShuttle } from "./link-shuttle.ts"

const SEED = 5
/** Time that a turn of the event loop takes here. */
const TURN_NS = 5_000

/** A clock by hand: each look at it takes a little time, and its timers fire when the test lets time pass. */
class HandClock {
  now = 1_000_000
  private dueNs = Number.POSITIVE_INFINITY
  private handler: (nowNs: number) => void = () => {}

  readonly nowNs = (): number => (this.now += TURN_NS)
  readonly wallMs = (): number => 0
  readonly timer = (handler: (nowNs: number) => void): Timer => {
    this.handler = handler
    return {
      arm: (atNs) => {
        this.dueNs = atNs
      },
      cancel: () => {}
    }
  }

  /** Lets time pass; timers fire `lateNs` late. */
  async pass(ns: number, lateNs = 0): Promise<void> {
    const untilNs = this.now + ns
    for (let turns = 0; this.now < untilNs && turns < 10_000; turns++) {
      if (this.dueNs + lateNs < untilNs) {
        this.now = Math.max(this.now, this.dueNs + lateNs)
        this.dueNs = Number.POSITIVE_INFINITY
        this.handler(this.now)
      }
      const before = this.now
      await new Promise((resolve) => setImmediate(resolve))
      // Nobody looked at the clock: all sleep.
      if (this.now === before && this.dueNs + lateNs >= untilNs) this.now = untilNs
    }
  }
}

interface Sent {
  readonly atNs: number
  readonly bytes: Uint8Array
}

class HandDevice implements TunDevice {
  readonly name = "hand"
  readonly mtuBytes = 1500
  readonly rx = new DatagramBatch(16, FRAME_BYTES_MAX)
  readonly tx = new DatagramBatch(16, FRAME_BYTES_MAX)
  readonly sent: Array<Sent> = []
  private readonly clock: HandClock
  private handler: (nowNs: number, count: number) => void = () => {}

  constructor(clock: HandClock) {
    this.clock = clock
  }

  onBatch(handler: (nowNs: number, count: number) => void): void {
    this.handler = handler
  }

  send(count: number): void {
    for (let i = 0; i < count; i++) this.sent.push({ atNs: this.clock.now, bytes: this.tx.view(i).slice() })
  }

  stats() {
    return { packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0, dropsIn: 0, dropsOut: 0 }
  }

  /** Frames that the host sends come in, in one batch. */
  enter(...frames: ReadonlyArray<Uint8Array>): number {
    frames.forEach((bytes, index) => {
      this.rx.slab.set(bytes, this.rx.offset(index))
      this.rx.length[index] = bytes.length
    })
    const nowNs = this.clock.nowNs()
    this.handler(nowNs, frames.length)
    return nowNs
  }

  get numbers(): ReadonlyArray<number> {
    return this.sent.map(({ bytes }) => numberOf(bytes))
  }
}

const shuttleOf = (change: Partial<LinkSpec> = {}, frames = 64, awake = false) => {
  const clock = new HandClock()
  const [host, subnet] = [new HandDevice(clock), new HandDevice(clock)]
  const pool = new FramePool(new DatagramBatch(frames, FRAME_BYTES_MAX))
  const shuttle = new LinkShuttle(pool, clock, [{ name: "a", host, subnet }], { seed: SEED, awake })
  const { down, up } = shuttle.links.get("a")!
  shuttle.act((nowNs) => up.configure(nowNs, linkSpec(change)))
  return { clock, host, subnet, pool, shuttle, up, down }
}

test("a link that does nothing passes frames at once, whole and in their order, both ways", () => {
  const { host, pool, subnet } = shuttleOf()
  const [one, two, back] = [frame(60, 1), frame(1_500, 2), frame(100, 3)]
  host.enter(one, two)
  subnet.enter(back)
  expect(subnet.sent.map(({ bytes }) => bytes)).toEqual([one, two])
  expect(host.sent.map(({ bytes }) => bytes)).toEqual([back])
  expect(pool.used).toBe(0)
})

test("a delayed frame leaves when its time has come and at most a turn of the loop later, though its timer is late", async () => {
  const { clock, host, pool, subnet } = shuttleOf({ delayUs: 2_000 })
  const enteredNs = host.enter(frame(60, 1))
  await clock.pass(1_900_000, 100_000)
  expect(subnet.sent).toEqual([])
  await clock.pass(1_000_000, 100_000)
  const [{ atNs }] = subnet.sent
  expect(atNs - enteredNs).toBeGreaterThanOrEqual(2_000_000)
  expect(atNs - enteredNs).toBeLessThanOrEqual(2_000_000 + 2 * TURN_NS)
  expect(pool.used).toBe(0)
})

test("a process learns how late its timers are, and is on time again when they are later than before", async () => {
  const { clock, host, subnet } = shuttleOf({ delayUs: 3_000 })
  const lateNs: Array<number> = []
  for (let number = 0; number < 3; number++) {
    const enteredNs = host.enter(frame(60, number))
    await clock.pass(5_000_000, 390_000)
    lateNs.push(subnet.sent[number].atNs - enteredNs - 3_000_000)
  }
  expect(lateNs[0]).toBeGreaterThan(100_000)
  expect(lateNs[1]).toBeLessThanOrEqual(2 * TURN_NS)
  expect(lateNs[2]).toBeLessThanOrEqual(2 * TURN_NS)
})

test("a process that never sleeps is on time without a timer", async () => {
  const { clock, host, shuttle, subnet } = shuttleOf({ delayUs: 3_000 }, 64, true)
  const enteredNs = host.enter(frame(60, 1))
  // A timer would come after the end.
  await clock.pass(5_000_000, 100_000_000)
  expect(subnet.sent[0].atNs - enteredNs - 3_000_000).toBeLessThanOrEqual(2 * TURN_NS)
  shuttle.close()
  await clock.pass(100_000)
  const before = clock.now
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  expect(clock.now, "nobody looks at the clock any more").toBe(before)
})

test("frames that are overdue leave before one that comes later and need not wait", () => {
  const { clock, host, subnet } = shuttleOf({ delayUs: 1_000, reorderGap: { gap: 3, ppm: 1_000_000 } })
  host.enter(frame(60, 1), frame(60, 2))
  // The process did not run for 10 ms, and the first that it finds is a frame that skips the delay.
  clock.now += 10_000_000
  host.enter(frame(60, 3))
  expect(subnet.numbers).toEqual([1, 2, 3])
})

test("what is no IPv4 passes untouched, because a link speaks of packets", () => {
  const { host, subnet, up } = shuttleOf({ lossPpm: 1_000_000, delayUs: 5_000 })
  host.enter(arp(), frame(60, 1))
  expect(subnet.sent.map(({ bytes }) => bytes)).toEqual([arp()])
  expect(up.count()).toMatchObject({ packets: 1, dropped: 1, overrun: 0 })
})

test("chance strikes the same frames as in the simulated network with the same seed", async () => {
  const change: Partial<LinkSpec> = { lossPpm: 200_000, duplicatePpm: 200_000, jitterUs: 300, delayUs: 1_000 }
  const { clock, host, subnet, up } = shuttleOf(change, 2_048)
  const kernel = new Kernel({ seed: SEED })
  const sink = new RecordingSink()
  const link = new Link(linkSpec(change), (stage) => kernel.rng(`net/a/up/${stage}`), sink)
  for (let number = 0; number < 500; number++) {
    link.offer(host.enter(frame(60, number)), number, 60, false)
  }
  await clock.pass(20_000_000)
  const original = (packet: number): number => (packet >= FIRST_COPY ? sink.copies[packet - FIRST_COPY] : packet)
  const expected = sink.delivered.map(({ atNs, packet }) => ({ atNs, number: original(packet) }))
  const byTime = expected.sort((a, b) => a.atNs - b.atNs).map(({ number }) => number)
  expect(subnet.numbers).toEqual(byTime)
  expect(sink.dropped.every(({ reason }) => reason === LINK_DROP.loss)).toBe(true)
  expect(up.count()).toMatchObject({
    packets: byTime.length,
    dropped: sink.dropped.length,
    duplicated: sink.copies.length
  })
})

test("a shaper does not stand idle while the process sleeps: frames leave at its rate, as if it had been on time", async () => {
  const queue = {
    kind: "codel",
    packetsMax: 100,
    bytesMax: 1e6,
    targetUs: 5_000,
    intervalUs: 100_000,
    ecn: false
  } as const
  const { clock, host, subnet } = shuttleOf({ rateBps: 8_000_000, queue })
  const enteredNs = host.enter(...Array.from({ length: 10 }, (_, number) => frame(1_000, number)))
  // Each frame takes a millisecond; the process comes 4 ms late.
  await clock.pass(11_000_000, 4_000_000)
  expect(subnet.numbers).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  expect(subnet.sent.at(-1)!.atNs - enteredNs).toBeLessThan(10_000_000 + 4_200_000)
})

test("corruption strikes the packet and not its Ethernet header, and cutting leaves a shorter frame", () => {
  const corrupt = shuttleOf({ corruptPpm: 1_000_000 })
  for (let number = 0; number < 50; number++) corrupt.host.enter(frame(60, 7))
  const whole = frame(60, 7)
  for (const { bytes } of corrupt.subnet.sent) {
    expect(bytes.subarray(0, 14)).toEqual(whole.subarray(0, 14))
    const flipped = bytes.reduce((bits, byte, index) => bits + ones(byte ^ whole[index]), 0)
    expect(flipped).toBe(1)
  }
  expect(corrupt.up.count().corrupted).toBe(50)
  const cut = shuttleOf({ truncatePpm: 1_000_000 })
  for (let number = 0; number < 50; number++) cut.host.enter(frame(60, 7))
  for (const { bytes } of cut.subnet.sent) {
    expect(bytes.length).toBeGreaterThanOrEqual(15)
    expect(bytes.length).toBeLessThan(74)
  }
})

test("what is above the MTU is answered to its sender, and does not pass", () => {
  const { host, pool, subnet, up } = shuttleOf({ mtuBytes: 1_000 })
  host.enter(frame(1_000, 1), frame(1_001, 2))
  expect(subnet.numbers).toEqual([1])
  const [{ bytes }] = host.sent
  expect([bytes[34], bytes[35], bytes[40] * 256 + bytes[41]]).toEqual([3, 4, 1_000])
  expect(headerIsSound(bytes, 0)).toBe(true)
  expect(up.count()).toMatchObject({ packets: 1, dropped: 1, overrun: 0 })
  expect(pool.used).toBe(0)
})

test("frames for which there is no room are lost and counted as the process's own failure, and room comes back", async () => {
  const { clock, host, pool, subnet, up } = shuttleOf({ delayUs: 1_000 }, 4)
  host.enter(...Array.from({ length: 6 }, (_, number) => frame(60, number)))
  expect(up.count()).toMatchObject({ packets: 4, dropped: 2, overrun: 2 })
  await clock.pass(2_000_000)
  expect(subnet.numbers).toEqual([0, 1, 2, 3])
  expect(pool.used).toBe(0)
  host.enter(frame(60, 9))
  await clock.pass(2_000_000)
  expect(subnet.numbers.at(-1)).toBe(9)
})

const ones = (byte: number): number => byte.toString(2).replaceAll("0", "").length
