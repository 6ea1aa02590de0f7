import { expect, test } from "vitest"
import { echoReplyInPlace } from "../../wire/icmp.ts"
import { pingPacket } from "../../wire/ipv4-packet.fixture.ts"
import {
  PACKET_FRESH_NS,
  PROOF_INTERVAL_NS,
  PROOF_LOST_NS,
  PROOF_OVERDUE_NS,
  PROOF_RETRY_NS,
  PROOF_STALE_NS,
  TunnelProof
} from "./proof.ts"

const ADDRESS = 0x0a4d0005
const GATEWAY = 0x0a4d0001
const token = Uint8Array.from({ length: 16 }, (_, i) => 200 - i)

const start = () => {
  const sent: Array<Uint8Array> = []
  const proof = new TunnelProof(0, {
    address: ADDRESS,
    gateway: GATEWAY,
    token,
    send: (_nowNs, bytes, at, length) => sent.push(bytes.slice(at, at + length))
  })
  return { proof, sent }
}
const reply = (request: Uint8Array): Uint8Array => {
  const bytes = request.slice()
  echoReplyInPlace(bytes, 0, bytes.length)
  return bytes
}
const hand = (proof: TunnelProof, nowNs: number, bytes: Uint8Array): boolean =>
  proof.handlePacket(nowNs, bytes, 0, bytes.length)

test("the tunnel is proved by an answer and by nothing else", () => {
  const { proof, sent } = start()
  expect(proof.state(0)).toBe("unproved")
  proof.handleTimeout(0)
  expect(proof.state(0)).toBe("unproved")
  expect(hand(proof, 30_000, reply(sent[0]))).toBe(true)
  expect([proof.state(30_000), proof.lastProvedNs, proof.rttNs]).toEqual(["proved", 30_000, 30_000])
})

test("the proof goes stale when answers stop coming, and comes back with the next answer", () => {
  const { proof, sent } = start()
  proof.handleTimeout(0)
  hand(proof, 1_000, reply(sent[0]))
  expect(proof.pollTimeout()).toBe(1_000 + PROOF_INTERVAL_NS)
  for (let nowNs = proof.pollTimeout(); nowNs < 10e9; nowNs = proof.pollTimeout()) proof.handleTimeout(nowNs)
  expect(proof.state(1_000 + PROOF_STALE_NS - 1)).toBe("proved")
  expect(proof.state(1_000 + PROOF_STALE_NS)).toBe("stale")
  expect(hand(proof, 10e9, reply(sent[sent.length - 1]))).toBe(true)
  expect(proof.state(10e9)).toBe("proved")
})

test("while there is no proof a request goes out every half second", () => {
  const { proof, sent } = start()
  for (let nowNs = 0; nowNs <= 4 * PROOF_RETRY_NS; nowNs = proof.pollTimeout()) proof.handleTimeout(nowNs)
  expect(sent).toHaveLength(5)
  proof.handleTimeout(4 * PROOF_RETRY_NS + 1)
  expect(sent).toHaveLength(5)
})

test("the round-trip time is that of the request that was answered", () => {
  const { proof, sent } = start()
  proof.handleTimeout(0)
  proof.handleTimeout(PROOF_RETRY_NS)
  hand(proof, PROOF_RETRY_NS + 40, reply(sent[0]))
  expect(proof.rttNs).toBe(PROOF_RETRY_NS + 40)
  hand(proof, PROOF_RETRY_NS + 50, reply(sent[1]))
  expect(proof.rttNs).toBe(50)
})

test("other packets are left to the host and prove nothing", () => {
  const { proof, sent } = start()
  proof.handleTimeout(0)
  const changed = (at: number): Uint8Array => {
    const bytes = reply(sent[0])
    bytes[at] ^= 1
    return bytes
  }
  const foreign = pingPacket(GATEWAY, ADDRESS, 0, token)
  const shorter = reply(pingPacket(ADDRESS, GATEWAY, 0, token.subarray(1)))
  const wrongToken = reply(pingPacket(ADDRESS, GATEWAY, 0, new Uint8Array(16)))
  for (const bytes of [sent[0], foreign, shorter, wrongToken, changed(15), changed(19), changed(24), changed(30)])
    expect(hand(proof, 1_000, bytes)).toBe(false)
  expect(proof.state(1_000)).toBe("unproved")
})

const DATA = pingPacket(GATEWAY + 8, ADDRESS, 0, token)

/** Asks as a client does until the tunnel is lost: when that is. Other packets come every `everyNs` until `untilNs`. */
const lostNs = (proof: TunnelProof, everyNs = Number.POSITIVE_INFINITY, untilNs = Number.POSITIVE_INFINITY): number => {
  let dataNs = everyNs
  for (let nowNs = proof.pollTimeout(); nowNs < 100e9; nowNs = proof.pollTimeout()) {
    for (; dataNs <= Math.min(nowNs, untilNs); dataNs += everyNs) hand(proof, dataNs, DATA)
    proof.handleTimeout(nowNs)
    if (proof.isLost(nowNs)) return nowNs
  }
  return Number.POSITIVE_INFINITY
}
const startProved = () => {
  const { proof, sent } = start()
  proof.handleTimeout(0)
  hand(proof, 0, reply(sent[0]))
  return proof
}

test("a tunnel in which nothing comes is lost after 6 s, whether it was ever proved or not", () => {
  expect(lostNs(start().proof)).toBe(PROOF_LOST_NS)
  expect(lostNs(startProved())).toBe(PROOF_LOST_NS)
})

test("packets that stop with the proofs do not delay the end: it is known as early as without them", () => {
  expect(lostNs(startProved(), 10e6, PROOF_INTERVAL_NS)).toBe(PROOF_LOST_NS)
})

test("while packets come a tunnel is kept without a proof, but no longer than 30 s", () => {
  expect(lostNs(startProved(), 50e6)).toBe(PROOF_OVERDUE_NS)
  expect(lostNs(start().proof, 50e6)).toBe(PROOF_OVERDUE_NS)
})

test("packets that come too seldom do not keep it", () => {
  expect(lostNs(startProved(), 4e9)).toBe(4e9 + PACKET_FRESH_NS)
})

test("a gateway that falls silent 10 s after it heard us last is found out within 14 s", () => {
  expect(lostNs(startProved(), 9e6, 10e9)).toBeGreaterThan(10e9)
  expect(lostNs(startProved(), 9e6, 10e9)).toBeLessThanOrEqual(14e9)
})

test("packets keep the tunnel from being lost and do not make it proved", () => {
  const proof = startProved()
  for (let nowNs = 0; nowNs < PROOF_LOST_NS; nowNs += PROOF_RETRY_NS) {
    hand(proof, nowNs, DATA)
    proof.handleTimeout(nowNs)
  }
  expect([proof.isLost(PROOF_LOST_NS), proof.state(PROOF_LOST_NS)]).toEqual([false, "stale"])
})

test("a proof takes the tunnel back from the brink", () => {
  const { proof, sent } = start()
  expect(lostNs(proof)).toBe(PROOF_LOST_NS)
  hand(proof, PROOF_LOST_NS, reply(sent[sent.length - 1]))
  expect([proof.isLost(PROOF_LOST_NS), proof.state(PROOF_LOST_NS)]).toEqual([false, "proved"])
})

test("what waited while the client stood still is no sign of life; after that, packets count again", () => {
  const proof = startProved()
  const late = 16e9
  hand(proof, late, DATA)
  proof.handleTimeout(late)
  expect(proof.isLost(late)).toBe(true)

  const short = startProved()
  for (; short.pollTimeout() < 5e9; short.handleTimeout(short.pollTimeout())) hand(short, short.pollTimeout(), DATA)
  hand(short, 7e9, DATA)
  short.handleTimeout(7e9)
  expect([short.lastPacketNs < 7e9, short.isLost(7e9)]).toEqual([true, false])
  hand(short, 7e9, DATA)
  expect(short.lastPacketNs).toBe(7e9)
})
