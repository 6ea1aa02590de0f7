import { execFile } from "node:child_process"
import { promisify } from "node:util"
import type { Topology } from "@horizon/core/lab/topology.ts"
import type { QueueSpec } from "@horizon/core/link/spec.ts"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { kernelHasQdisc, makeTcDriver } from "./driver-tc.ts"
import { hasQdisc, named, namespacesMissing } from "./here.fixture.ts"
import type { LabNetwork } from "./lab-network.ts"
import { buildNetns } from "./netns.ts"
import { transfer } from "./transfer.fixture.ts"

const execute = promisify(execFile)
const tbfMissing =
  namespacesMissing || (hasQdisc("tbf", "rate", "1mbit", "burst", "2000", "limit", "2000") ? "" : "needs tbf")
const netemMissing = namespacesMissing || (hasQdisc("netem") ? "" : "needs a kernel with netem")
const netemThere = namespacesMissing || (hasQdisc("netem") ? "this kernel has netem" : "")

const topology: Topology = {
  subnets: { lan: { cidr: "10.0.0.0/24" } },
  hosts: { a: { subnet: "lan" }, b: { subnet: "lan" } },
  routers: {}
}

/** A queue bounded in bytes, which tbf has by itself. */
const bytes = (bytesMax: number): QueueSpec => ({ kind: "droptail", packetsMax: 100_000, bytesMax })

/** Round trip of one ping with so many bytes in its IP packet, in ms; `undefined` without an answer. */
const ping = async (lab: LabNetwork, packetBytes = 84): Promise<number | undefined> => {
  const [command, ...rest] = lab.enter("a")
  const args = ["ping", "-n", "-c", "1", "-W", "0.5", "-M", "do", "-s", `${packetBytes - 28}`, lab.addressOf("b")]
  return execute(command, [...rest, ...args]).then(
    ({ stdout }) => Number(/time=([\d.]+)/.exec(stdout)?.[1]),
    () => undefined
  )
}

describe.skipIf(namespacesMissing !== "")(named("links with qdiscs of the running kernel", namespacesMissing), () => {
  let lab: LabNetwork
  beforeAll(async () => {
    lab = await buildNetns(topology, { id: `hz-tc-${process.pid}`, driver: makeTcDriver, purpose: "test" })
  })
  afterAll(() => lab?.close())

  test.skipIf(tbfMissing !== "")(
    named(
      "a rate is the rate of IP packets, and each one is counted, though the sender's come in large pieces",
      tbfMissing
    ),
    async () => {
      const undo = await lab.changeLink("a", "up", { rateBps: 20_000_000, queue: bytes(60_000) })
      const before = (await lab.counts()).get("a")!.up
      const moved = await transfer(lab, "a", "b", 2_000_000)
      const after = (await lab.counts()).get("a")!.up
      const goodputBps = (moved.bytes * 8_000) / moved.ms
      // 1,448 of 1,500 bytes are the program's.
      expect(goodputBps).toBeGreaterThan(20e6 * (1448 / 1500) * 0.95)
      expect(goodputBps).toBeLessThan(20e6 * (1448 / 1500) * 1.05)
      const packets = after.packets - before.packets
      expect(packets).toBeGreaterThanOrEqual(2_000_000 / 1448)
      expect((after.bytes - before.bytes) / packets).toBeLessThanOrEqual(1_500)
      expect(after.overlimits).toBeGreaterThan(0)
      await undo()
      const fast = await transfer(lab, "a", "b", 2_000_000)
      expect((fast.bytes * 8_000) / fast.ms, "unlimited again").toBeGreaterThan(100e6)
      expect((await lab.counts()).get("a")!.up.overlimits, "counts outlive the qdisc").toBe(after.overlimits)
    }
  )

  test.skipIf(tbfMissing !== "")(named("what overflows a queue is counted as dropped", tbfMissing), async () => {
    const undo = await lab.changeLink("b", "down", { rateBps: 5_000_000, queue: bytes(6_000) })
    await transfer(lab, "a", "b", 300_000)
    const { down, up } = (await lab.counts()).get("b")!
    expect(down.dropped).toBeGreaterThan(0)
    expect(up.dropped).toBe(0)
    expect(lab.notes.some((note) => /^b\/down: rateBps: the first packet of a burst/.test(note))).toBe(true)
    await undo()
  })

  test.skipIf(tbfMissing !== "")(
    named("a change of the rate leaves the queue where it is, and counts go on", tbfMissing),
    async () => {
      const slow = { rateBps: 200_000, queue: bytes(60_000) }
      const undo = await lab.changeLink("a", "up", slow)
      const before = (await lab.counts()).get("a")!.up
      // Ten packets of 1,000 bytes take 0.4 s at that rate, so some wait when it changes.
      const [command, ...rest] = lab.enter("a")
      const pings = execute(command, [
        ...rest,
        "ping",
        "-n",
        "-q",
        "-c",
        "10",
        "-i",
        "0.002",
        "-W",
        "1",
        "-s",
        "972",
        lab.addressOf("b")
      ])
      await new Promise((resolve) => setTimeout(resolve, 60))
      const faster = await lab.changeLink("a", "up", { rateBps: 50_000_000 })
      expect((await pings).stdout).toContain("10 packets transmitted, 10 received, 0% packet loss")
      const after = (await lab.counts()).get("a")!.up
      expect([after.packets - before.packets, after.dropped - before.dropped]).toEqual([10, 0])
      await faster()
      await undo()
    }
  )

  test("an MTU below the devices' own holds to the byte, for one way, and what it stops is counted", async () => {
    const undo = await lab.changeLink("b", "down", { mtuBytes: 1_000, mtuAnswer: false })
    expect(await ping(lab, 1_000)).toBeGreaterThan(0)
    expect(await ping(lab, 1_001)).toBeUndefined()
    expect((await lab.counts()).get("b")!.down.dropped).toBeGreaterThan(0)
    await undo()
    expect(await ping(lab, 1_500)).toBeGreaterThan(0)
  })

  test("what tc cannot do is refused, and the link stays as it was", async () => {
    await expect(lab.changeLink("a", "both", { truncatePpm: 5 })).rejects.toThrow(/link a\/up: tc cannot do this.*cut/)
    expect(await ping(lab)).toBeGreaterThan(0)
  })

  test.skipIf(netemThere !== "")(
    named(
      "without netem a delay is refused as missing, with what to use instead, and the link stays as it was",
      netemThere
    ),
    async () => {
      expect(await kernelHasQdisc("netem")).toBe(false)
      await expect(lab.changeLink("a", "up", { delayUs: 5_000 })).rejects.toMatchObject({
        reason: "missing",
        message: expect.stringMatching(
          /link a\/up: this kernel has no netem \(sch_netem\); use the driver "box" or "link"/
        )
      })
      expect(await ping(lab)).toBeLessThan(5)
    }
  )

  test.skipIf(netemMissing !== "")(named("a delay of netem is in every round trip", netemMissing), async () => {
    const undo = await lab.changeLink("a", "both", { delayUs: 20_000 })
    const rtt = (await ping(lab))!
    expect(rtt).toBeGreaterThanOrEqual(40)
    expect(rtt).toBeLessThan(50)
    await undo()
    expect(await ping(lab)).toBeLessThan(20)
  })
})
