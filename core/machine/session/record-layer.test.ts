import { describe, expect, it } from "vitest"
import { nobleCrypto } from "../../crypto/noble.ts"
import { DatagramBatch, Outbox } from "../../wire/batch.ts"
import { DROP } from "../../wire/drop.ts"
import { checkHeader, HEADER_BYTES, SEALED_OVERHEAD_BYTES, sequenceHighAt, sequenceLowAt } from "../../wire/header.ts"
import { RecordLayer } from "./record-layer.ts"

const ID = 0x01000203
const key = (value: number) => nobleCrypto.aead("chacha20-poly1305", new Uint8Array(32).fill(value))

const pair = (faults: ReadonlyArray<string> = [], window = 64): { sender: RecordLayer; receiver: RecordLayer } => {
  const planted = (name: string): boolean => faults.includes(name)
  return {
    sender: new RecordLayer(ID, key(1), key(2), window, planted),
    receiver: new RecordLayer(ID, key(2), key(1), window, planted)
  }
}

const seal = (records: RecordLayer, text = "packet"): Uint8Array => {
  const source = new TextEncoder().encode(text)
  const outbox = new Outbox(new DatagramBatch(1, source.length + SEALED_OVERHEAD_BYTES), () => {})
  const { slab } = outbox.batch
  expect(records.seal(4, source, 0, source.length, outbox, 0)).toBe(slab.length)
  return slab
}
const open = (records: RecordLayer, datagram: Uint8Array): number => records.open(datagram.slice(), 0, datagram.length)

/** Puts the sender's next sequence where only years of traffic would bring it. */
const jump = (records: RecordLayer, high: number, low: number): void => {
  Object.assign(records, { nextHigh: high, nextLow: low })
}

describe("RecordLayer", () => {
  it("opens in place what the other end sealed, and says what is left of the length", () => {
    const { sender, receiver } = pair()
    const datagram = seal(sender, "hello")
    expect(checkHeader(datagram, 0, datagram.length)).toBe(DROP.none)
    expect(receiver.open(datagram, 0, datagram.length)).toBe(DROP.none)
    const body = datagram.subarray(HEADER_BYTES, HEADER_BYTES + RecordLayer.payloadBytes(datagram.length))
    expect(new TextDecoder().decode(body)).toBe("hello")
  })

  it("counts its sequence up by one, over the 32-bit border, and never back", () => {
    const { sender, receiver } = pair()
    jump(sender, 0, 0xfffffffe)
    const sequences = [0, 1, 2, 3].map(() => {
      const datagram = seal(sender)
      expect(open(receiver, datagram)).toBe(DROP.none)
      return sequenceHighAt(datagram, 0) * 2 ** 32 + sequenceLowAt(datagram, 0)
    })
    expect(sequences).toEqual([2 ** 32 - 2, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1])
  })

  it("refuses a change of any bit of any byte, and counts it", () => {
    const { sender, receiver } = pair()
    const datagram = seal(sender)
    for (let i = 4; i < datagram.length; i++) {
      const changed = datagram.slice()
      changed[i] ^= 1 << (i % 8)
      if (checkHeader(changed, 0, changed.length) === DROP.none) expect(open(receiver, changed)).not.toBe(DROP.none)
    }
    expect(receiver.failedOpens).toBeGreaterThan(20)
    expect(open(receiver, datagram)).toBe(DROP.none)
  })

  it("does not let a forged packet from the far future move the window", () => {
    const { sender, receiver } = pair()
    expect(open(receiver, seal(sender))).toBe(DROP.none)
    const forged = seal(sender)
    const real = seal(sender)
    new DataView(forged.buffer).setUint32(10, 0x3fffffff, true)
    expect(open(receiver, forged)).toBe(DROP.forged)
    expect(open(receiver, real)).toBe(DROP.none)
  })

  it("refuses a replay and what lies behind the window without looking at the tag", () => {
    const { sender, receiver } = pair()
    const first = seal(sender)
    for (let i = 0; i < 70; i++) open(receiver, seal(sender))
    expect(open(receiver, first)).toBe(DROP.old)
    const last = seal(sender)
    expect(open(receiver, last)).toBe(DROP.none)
    expect(open(receiver, last)).toBe(DROP.replay)
    expect(receiver.failedOpens).toBe(0)
  })

  it("knows whether a packet was the newest", () => {
    const { sender, receiver } = pair()
    const [, older, newer] = [seal(sender), seal(sender), seal(sender)]
    open(receiver, newer)
    expect(receiver.newest).toBe(true)
    open(receiver, older)
    expect(receiver.newest).toBe(false)
  })

  it("has no key for other epochs yet", () => {
    const { sender, receiver } = pair()
    const datagram = seal(sender)
    datagram[5] |= 0x20
    expect(open(receiver, datagram)).toBe(DROP.epoch)
  })

  it("stops at 2^62, and refuses sequences beyond", () => {
    const { sender, receiver } = pair()
    jump(sender, 0x3fffffff, 0xffffffff)
    expect(sender.exhausted()).toBe(false)
    expect(open(receiver, seal(sender))).toBe(DROP.none)
    expect(sender.exhausted()).toBe(true)
    expect(open(receiver, seal(sender))).toBe(DROP.reserved)
  })

  it("keeps no key after a wipe", () => {
    const { sender, receiver } = pair()
    const datagram = seal(sender)
    receiver.wipe()
    expect(open(receiver, datagram)).toBe(DROP.epoch)
  })

  it("accepts replays only with the fault session.replay.accept planted", () => {
    const { sender, receiver } = pair(["session.replay.accept"])
    const datagram = seal(sender)
    expect([open(receiver, datagram), open(receiver, datagram)]).toEqual([DROP.none, DROP.none])
  })

  it("uses one sequence in sixteen twice only with the fault session.sequence.reuse planted", () => {
    const { sender } = pair(["session.sequence.reuse"])
    const sequences = Array.from({ length: 34 }, () => sequenceLowAt(seal(sender), 0))
    expect(new Set(sequences).size).toBe(32)
    const honest = pair().sender
    expect(new Set(Array.from({ length: 34 }, () => sequenceLowAt(seal(honest), 0))).size).toBe(34)
  })
})
