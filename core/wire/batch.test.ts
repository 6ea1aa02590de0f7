import { describe, expect, it } from "vitest"
import { parseAddress } from "./address.ts"
import { BATCH_SLOTS, DatagramBatch, Outbox, SLOT_BYTES } from "./batch.ts"

describe("DatagramBatch", () => {
  it("has 64 slots of 2,048 bytes unless told otherwise, one after the other", () => {
    const batch = new DatagramBatch()
    expect(batch.capacity).toBe(BATCH_SLOTS)
    expect(batch.slab.length).toBe(BATCH_SLOTS * SLOT_BYTES)
    expect(batch.offset(3)).toBe(3 * SLOT_BYTES)
  })

  it("shows the used bytes of a slot and its peer, and copies a peer between batches", () => {
    const batch = new DatagramBatch(4, 16)
    batch.slab.set([1, 2, 3], batch.offset(2))
    batch.length[2] = 3
    parseAddress("10.1.2.3", batch.address, 8)
    batch.port[2] = 99
    expect([...batch.view(2)]).toEqual([1, 2, 3])
    expect(batch.peer(2)).toEqual({ address: "10.1.2.3", port: 99 })
    const other = new DatagramBatch(2, 16)
    other.copyPeer(1, batch, 2)
    expect(other.peer(1)).toEqual({ address: "10.1.2.3", port: 99 })
    expect(other.peer(0)).toEqual({ address: "::", port: 0 })
  })
})

describe("Outbox", () => {
  const outboxOf = (capacity: number) => {
    const sent: Array<Array<number>> = []
    const batch = new DatagramBatch(capacity, 8)
    const outbox = new Outbox(batch, (count) => sent.push(Array.from({ length: count }, (_, i) => batch.view(i)[0])))
    const put = (value: number): void => {
      const slot = outbox.next()
      batch.slab[batch.offset(slot)] = value
      outbox.commit(1)
    }
    return { outbox, sent, put }
  }

  it("hands over what was committed, in order, and only once", () => {
    const { outbox, sent, put } = outboxOf(4)
    put(1)
    put(2)
    outbox.flush()
    outbox.flush()
    expect(sent).toEqual([[1, 2]])
  })

  it("flushes by itself when its slots run out", () => {
    const { outbox, sent, put } = outboxOf(2)
    for (const value of [1, 2, 3]) put(value)
    expect(sent).toEqual([[1, 2]])
    expect(outbox.count).toBe(1)
  })

  it("gives a slot out again that was not committed", () => {
    const { outbox } = outboxOf(2)
    expect(outbox.next()).toBe(0)
    expect(outbox.next()).toBe(0)
  })
})
