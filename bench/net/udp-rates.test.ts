import { fileURLToPath } from "node:url"
import { nativeMissing } from "@horizon/real/native.ts"
import { expect, test } from "vitest"
import { missingTool } from "../lab/command.ts"
import { LabError } from "../lab/lab-error.ts"
import { transfer } from "./udp-program.ts"
import { measureUdpRates, RECEIVERS, SENDERS, samplesOf } from "./udp-rates.ts"

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
  `every receiver is measured behind a plain and a GSO sender; one that cannot be had is named, and all else goes on${because}`,
  async () => {
    const said: Array<string> = []
    const absent = {
      name: "absent",
      command: () => Promise.reject(new LabError("missing", "not built here")),
      floor: "c-gro"
    }
    const measured = await measureUdpRates({
      paths: ["loopback"],
      sizesBytes: [200],
      rounds: 1,
      seconds: 0.05,
      receivers: [absent, ...RECEIVERS.filter(({ name }) => !name.startsWith("native"))],
      senders: SENDERS.filter(({ name }) => !name.startsWith("native")),
      onProgress: (sentence) => said.push(sentence)
    })
    expect([measured.missing, measured.failed]).toEqual([{ absent: "not built here" }, []])
    const behind = (sender: string) =>
      [...measured.samples].flatMap(([pairing, samples]) =>
        pairing.sender.name === sender && samples.length > 0 ? [pairing.receiver.name] : []
      )
    const receivers = ["c-recvfrom", "c-recvmmsg", "c-drain", "c-gro", "node-dgram"]
    expect(behind("c-sendto")).toEqual(receivers)
    expect(behind("c-gso")).toEqual(receivers)
    expect(behind("node-dgram")).toEqual(["c-drain"])
    for (const sender of ["c-sendto", "c-gso"]) {
      for (const receiver of receivers) {
        const [sample] = samplesOf(measured, "loopback", 200, sender, receiver)!
        expect(sample.receivedPerSecond, `${sender} to ${receiver}`).toBeGreaterThan(0)
      }
    }
    expect(samplesOf(measured, "loopback", 200, "c-sendto", "absent")).toBeUndefined()
    expect(said).toContain("round 1 of 1: c-sendto to c-recvfrom, 200 bytes, loopback")
  }
)

const unbuilt = nativeMissing()
test.skipIf(missing !== undefined || unbuilt !== undefined)(
  `a thousand datagrams of the native layer arrive at it, with and without offloads${because}${unbuilt === undefined ? "" : ` (skipped: ${unbuilt})`}`,
  async () => {
    for (const name of ["native", "native-plain"]) {
      const command = (all: typeof SENDERS) => all.find((one) => one.name === name)!.command()
      const { received } = await transfer({
        sender: await command(SENDERS),
        receiver: await command(RECEIVERS),
        address: "127.0.0.1",
        sizeBytes: 200,
        seconds: 5,
        packetsMax: 1_000,
        settleMs: 200
      })
      expect(received, name).toMatchObject({ packets: 1_000, bytes: 200_000, drops: 0 })
    }
  }
)
