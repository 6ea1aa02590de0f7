import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"
import { LabError } from "../lab/lab-error.ts"
import { missingTool } from "./command.ts"
import { transfer } from "./udp-program.ts"
import { measureUdpRates } from "./udp-rates.ts"

const missing = missingTool("setpriv") ?? missingTool("cc")
const because = missing === undefined ? "" : ` (skipped: ${missing})`
const script = (name: string): ReadonlyArray<string> => [
  process.execPath,
  fileURLToPath(new URL(name, import.meta.url))
]

test.skipIf(missing !== undefined)(
  `of 1,000 datagrams that node:dgram sends, node:dgram counts 1,000${because}`,
  async () => {
    const { sent, received } = await transfer({
      sender: script("dgram-sender.ts"),
      receiver: script("dgram-receiver.ts"),
      address: "127.0.0.1",
      sizeBytes: 200,
      seconds: 5,
      packetsMax: 1_000,
      settleMs: 200
    })
    expect(sent).toMatchObject({ role: "send", mode: "node-dgram", packets: 1_000, bytes: 200_000, drops: 0 })
    expect(received).toMatchObject({ role: "recv", mode: "node-dgram", packets: 1_000, bytes: 200_000, drops: 0 })
  }
)

test.skipIf(missing !== undefined)(
  `every receiver is measured behind a plain and a GSO sender and compared with its floor; one that cannot be had is named${because}`,
  async () => {
    const said: Array<string> = []
    const { rates, missing: absent } = await measureUdpRates({
      paths: ["loopback"],
      rounds: 1,
      seconds: 0.05,
      receivers: [
        { name: "absent", command: () => Promise.reject(new LabError("missing", "not built here")), floor: "c-gro" }
      ],
      onProgress: (sentence) => said.push(sentence)
    })
    expect(absent).toEqual({ absent: "not built here" })
    const behind = (sender: string) => rates.filter((rate) => rate.sender === sender).map((rate) => rate.receiver)
    const receivers = ["c-recvfrom", "c-recvmmsg", "c-drain", "c-gro", "node-dgram"]
    expect(behind("c-sendto")).toEqual(receivers)
    expect(behind("c-gso")).toEqual(receivers)
    expect(behind("node-dgram")).toEqual(["c-drain"])
    for (const rate of rates) expect(rate.receivedPerSecond, `${rate.sender} to ${rate.receiver}`).toBeGreaterThan(0)
    const dgram = rates.find((rate) => rate.sender === "c-sendto" && rate.receiver === "node-dgram")!
    const floor = rates.find((rate) => rate.sender === "c-sendto" && rate.receiver === "c-recvmmsg")!
    expect(dgram.receiveRatio).toBeCloseTo(dgram.receivedPerSecond / floor.receivedPerSecond)
    expect(floor.receiveRatio).toBeUndefined()
    expect(said[0]).toBe("round 1 of 1: c-sendto to c-recvfrom, 200 bytes, loopback")
  }
)
