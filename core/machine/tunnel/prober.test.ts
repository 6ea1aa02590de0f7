import { expect, test } from "vitest"
import { formatAddress } from "../../wire/address.ts"
import { DatagramBatch, Outbox } from "../../wire/batch.ts"
import { DROP } from "../../wire/drop.ts"
import { checkHello, HELLO, putRetry, RETRY_BYTES } from "../../wire/handshake.ts"
import { ProbeCounts, Prober, type ProbeTarget } from "./prober.ts"

const MS = 1_000_000
const target = (id: string, n: number): ProbeTarget => ({ id, endpoint: { address: `10.0.0.${n}`, port: 7_000 + n } })

const start = (targets: ReadonlyArray<ProbeTarget>, preferred?: string) => {
  const sent: Array<{ to: string; hello: Uint8Array }> = []
  const batch = new DatagramBatch(8)
  const outbox = new Outbox(batch, (count) => {
    for (let i = 0; i < count; i++)
      sent.push({ to: `${formatAddress(batch.address, i * 4)}:${batch.port[i]}`, hello: batch.view(i).slice() })
  })
  let next = 0
  let doneCalls = 0
  const counts = new ProbeCounts()
  const prober = new Prober(0, {
    targets,
    preferred,
    fill: (bytes) => {
      for (let i = 0; i < bytes.length; i++) bytes[i] = next++ * 37
    },
    outbox,
    counts,
    onDone: () => doneCalls++
  })
  const tick = (nowNs: number): void => {
    prober.handleTimeout(nowNs)
    outbox.flush()
  }
  const answer = (nowNs: number, hello: Uint8Array, damage = -1): void => {
    const rx = new DatagramBatch(1)
    putRetry(rx.slab, 0, hello, 0)
    rx.length[0] = RETRY_BYTES
    if (damage >= 0) rx.slab[damage] ^= 1
    prober.handleDatagram(nowNs, rx, 0)
  }
  return { prober, sent, tick, answer, counts, doneCalls: () => doneCalls }
}

test("each server is asked three times, by a whole HELLO without a cookie", () => {
  const { prober, sent, tick } = start([target("a", 1), target("b", 2)])
  while (!prober.done) tick(prober.pollTimeout())
  expect(sent.map((each) => each.to)).toEqual(Array(3).fill(["10.0.0.1:7001", "10.0.0.2:7002"]).flat())
  for (const { hello } of sent) {
    expect(checkHello(hello, 0, hello.length)).toBe(DROP.none)
    expect(hello[HELLO.cookieLength]).toBe(0)
  }
  expect(new Set(sent.map(({ hello }) => String(hello.slice(HELLO.random, HELLO.random + 16)))).size).toBe(6)
})

test("the result is the median of each server's answers, and it is done as soon as all have come", () => {
  const { prober, sent, tick, answer, doneCalls } = start([target("a", 1), target("b", 2)])
  for (const round of [0, 1, 2]) tick(round * 100 * MS)
  answer(20 * MS, sent[0].hello)
  answer(300 * MS, sent[2].hello)
  answer(230 * MS, sent[4].hello)
  for (const index of [1, 3, 5]) {
    expect(prober.done).toBe(false)
    answer(((index - 1) / 2) * 100 * MS + 7 * MS, sent[index].hello)
  }
  expect([prober.done, doneCalls(), prober.pollTimeout()]).toEqual([true, 1, Number.POSITIVE_INFINITY])
  expect([...prober.results()]).toEqual([
    ["a", 30_000],
    ["b", 7_000]
  ])
})

test("a server that does not answer is waited for no longer than 700 ms and is not among the results", () => {
  const { prober, sent, tick, answer, doneCalls } = start([target("a", 1), target("b", 2)])
  tick(0)
  answer(5 * MS, sent[0].hello)
  tick(100 * MS)
  tick(200 * MS)
  expect(prober.pollTimeout()).toBe(900 * MS)
  tick(900 * MS)
  expect([prober.done, doneCalls()]).toEqual([true, 1])
  expect([...prober.results()]).toEqual([["a", 5_000]])
})

test("nothing more is waited for when the preferred server has answered", () => {
  const { prober, sent, tick, answer } = start([target("a", 1), target("b", 2)], "b")
  tick(0)
  answer(1 * MS, sent[0].hello)
  expect(prober.done).toBe(false)
  answer(3 * MS, sent[1].hello)
  expect([prober.done, prober.results().get("b")]).toEqual([true, 3_000])
})

test("answers that no probe asked for, repeated or damaged ones change nothing", () => {
  const { prober, sent, tick, answer } = start([target("a", 1)])
  tick(0)
  for (const at of [0, 4, 5, 6, 14, 15, 30]) answer(1 * MS, sent[0].hello, at)
  expect(prober.results().size).toBe(0)
  answer(2 * MS, sent[0].hello)
  answer(9 * MS, sent[0].hello)
  expect(prober.results().get("a")).toBe(2_000)
})

test("every datagram is counted: sent, an answer, or stray, also when it comes after the end", () => {
  const { prober, sent, tick, answer, counts } = start([target("a", 1), target("b", 2)], "b")
  tick(0)
  answer(1 * MS, sent[0].hello)
  answer(2 * MS, sent[0].hello)
  answer(3 * MS, sent[1].hello, 4)
  answer(4 * MS, sent[1].hello)
  expect(prober.done).toBe(true)
  answer(5 * MS, sent[1].hello)
  expect(counts).toEqual({ sent: 2, answered: 2, stray: 3 })
})

test("with no server to ask it is done at once", () => {
  const { prober, tick, doneCalls } = start([])
  tick(0)
  expect([prober.done, doneCalls()]).toEqual([true, 1])
})
