import { execFileSync } from "node:child_process"
import { PLAINTEXT_MARKER } from "@horizon/scenarios/actor/tunnel-member.ts"
import { afterAll, expect, test } from "vitest"
import { named, namespacesMissing, tcpdumpMissing } from "../here.fixture.ts"
import { Capture } from "./capture.ts"
import { sealed } from "./frames.fixture.ts"
import { LabProcess } from "./lab-process.ts"
import type { WireFinding } from "./wire-watch.ts"

const missing = namespacesMissing || tcpdumpMissing
/** A network of its own, so that nothing passes but what the test sends. */
const NAMESPACE = `hzcap${process.pid}`
const enter = ["nsenter", `--net=/run/netns/${NAMESPACE}`, "--"]
if (missing === "") {
  execFileSync("ip", ["netns", "add", NAMESPACE])
  execFileSync("ip", ["-n", NAMESPACE, "link", "set", "lo", "up"])
}
afterAll(() => {
  if (missing === "") execFileSync("ip", ["netns", "del", NAMESPACE])
})

/** Sends each line of its input, hexadecimal, as a datagram. */
const SENDER = `
  const socket = require("node:dgram").createSocket("udp4")
  let last = Promise.resolve()
  require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
    last = last.then(() => new Promise((resolve) => socket.send(Buffer.from(line, "hex"), 9, "127.0.0.1", resolve)))
  }).on("close", () => last.then(() => process.exit(0)))`

const ID = 0x01000100

test.skipIf(missing !== "")(
  named("what passes an interface is judged, also what passes just before the end", missing),
  async () => {
    const findings: Array<WireFinding> = []
    const onFinding = (finding: WireFinding): number => findings.push(finding)
    const capture = new Capture({ host: "ada", address: "127.0.0.1", device: "lo", enter, onFinding })
    const sender = new LabProcess({ command: [...enter, process.execPath, "-e", SENDER], input: true })
    try {
      await capture.listening
      const startMs = Date.now()
      const same = Array.from({ length: 200 }, (_, sequence) => sealed(ID, sequence, "a"))
      for (const datagram of [...same, sealed(ID, 100, "b"), Buffer.from(PLAINTEXT_MARKER)])
        sender.input.write(`${datagram.toString("hex")}\n`)
      sender.input.end()
      expect((await sender.exited).code).toBe(0)
      await capture.stop()
      expect(findings.map(({ id }) => id)).toEqual(["nonce-reuse", "plaintext-leak"])
      for (const { wallNs } of findings) {
        expect(wallNs / 1e6).toBeGreaterThan(startMs - 5)
        expect(wallNs / 1e6).toBeLessThan(Date.now() + 5)
      }
      expect([capture.watch.sealed, capture.missed(), capture.broken]).toEqual([201, 0, undefined])
    } finally {
      capture.kill()
      sender.signal("SIGKILL")
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
