import { expect, test } from "vitest"
import { captureOf, udpFrame } from "./frames.fixture.ts"
import { type CapturedFrame, PcapReader, udpInFrame } from "./pcap.ts"

const FRAMES = ["one", "two and a half", "three"].map((text) =>
  udpFrame("198.51.100.2:8421", "203.0.113.9:40000", Buffer.from(text))
)

const read = (...chunks: ReadonlyArray<Buffer>): ReadonlyArray<CapturedFrame> => {
  const frames: Array<CapturedFrame> = []
  const reader = new PcapReader((frame) => frames.push({ ...frame, bytes: Buffer.from(frame.bytes) }))
  for (const chunk of chunks) reader.take(chunk)
  return frames
}

test("frames come out whole, in either byte order and precision, however the stream is cut", () => {
  for (const [form, fractionNs] of [
    [{}, 7_000],
    [{ nanoseconds: true }, 7],
    [{ bigEndian: true }, 7_000]
  ] as const) {
    const capture = captureOf(FRAMES, form)
    for (let at = 0; at <= capture.length; at++) {
      const frames = read(capture.subarray(0, at), capture.subarray(at))
      expect(frames.map(({ bytes }) => bytes)).toEqual(FRAMES)
      expect(frames.map(({ wallNs, whole }) => [wallNs, whole])).toEqual(
        FRAMES.map((_, index) => [(1_000 + index) * 1e9 + fractionNs, true])
      )
    }
  }
})

test("a datagram is found in its frame, and nothing is found in what has none", () => {
  const [frame] = FRAMES
  expect(udpInFrame(frame)).toEqual({
    source: "198.51.100.2:8421",
    destination: "203.0.113.9:40000",
    payload: Buffer.from("one")
  })
  const changed = (at: number, value: number): Buffer => {
    const copy = Buffer.from(frame)
    copy[at] = value
    return copy
  }
  // Not IPv4, not UDP, a fragment, a length beyond the frame, cut off.
  for (const other of [changed(12, 0x86), changed(23, 6), changed(20, 0x20), changed(16, 9), frame.subarray(0, 40)]) {
    expect(udpInFrame(other)).toBeUndefined()
  }
})

test("what is no capture of an Ethernet is refused", () => {
  expect(() => read(Buffer.from("this is not a capture at all"))).toThrow(/does not begin as a capture/)
  expect(() => read(captureOf([], { linkType: 113 }))).toThrow(/link type 113/)
  const long = captureOf(FRAMES)
  long.writeUInt32LE(1_000_000, 24 + 8)
  expect(() => read(long)).toThrow(/a record of 1000000 bytes/)
})
