import { createSocket, type Socket } from "node:dgram"
import { PLAINTEXT_MARKER } from "@horizon/scenarios/actor/tunnel-member.ts"
import { expect, test } from "vitest"
import { named, tcpdumpMissing } from "../here.fixture.ts"
import { Capture } from "./capture.ts"
import { sealed } from "./frames.fixture.ts"
import type { WireFinding } from "./wire-watch.ts"

const ID = 0x01000100

test.skipIf(tcpdumpMissing !== "")(
  named("what passes an interface is judged while it passes", tcpdumpMissing),
  async () => {
    const findings: Array<WireFinding> = []
    const capture = new Capture({
      host: "ada",
      address: "127.0.0.1",
      device: "lo",
      enter: [],
      onFinding: (finding) => findings.push(finding)
    })
    const socket: Socket = createSocket("udp4")
    try {
      await capture.listening
      await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve))
      const { port } = socket.address()
      const say = (bytes: Uint8Array) => new Promise((resolve) => socket.send(bytes, port, "127.0.0.1", resolve))
      for (let sequence = 0; sequence < 200; sequence++) await say(sealed(ID, sequence, "a"))
      await say(sealed(ID, 100, "b"))
      await say(Buffer.from(PLAINTEXT_MARKER))
      await expect
        .poll(() => findings.map(({ id }) => id), { timeout: 5_000 })
        .toEqual(["nonce-reuse", "plaintext-leak"])
      await capture.stop()
      expect(capture.watch.sealed).toBeGreaterThanOrEqual(201)
      expect([capture.missed(), capture.broken]).toEqual([0, undefined])
    } finally {
      capture.kill()
      socket.close()
    }
  }
)

test("a capture that cannot be had says why", async () => {
  const capture = new Capture({
    host: "ada",
    address: "127.0.0.1",
    device: "no-such-device",
    enter: [],
    onFinding: () => {}
  })
  await expect(capture.listening).rejects.toThrow(/tcpdump on ada cannot capture: .*(no-such-device|tcpdump)/)
  capture.kill()
})
