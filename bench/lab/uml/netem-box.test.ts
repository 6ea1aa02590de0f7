import { execFile, spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { promisify } from "node:util"
import type { Topology } from "@horizon/core/lab/topology.ts"
import type { LinkSpec } from "@horizon/core/link/spec.ts"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { named, namespacesMissing } from "../here.fixture.ts"
import type { LabNetwork } from "../lab-network.ts"
import { buildNetns } from "../netns.ts"
import { listLabs } from "../registry.ts"
import { transfer } from "../transfer.fixture.ts"
import { guestMissing } from "./guest.ts"
import { makeBoxDriver } from "./netem-box.ts"

const execute = promisify(execFile)
const missing = namespacesMissing || (guestMissing() ?? "")

const topology: Topology = {
  subnets: { lan: { cidr: "10.0.0.0/24" } },
  hosts: { a: { subnet: "lan" }, b: { subnet: "lan" } },
  routers: {}
}

interface Pings {
  readonly sent: number
  readonly received: number
  readonly duplicates: number
  /** Round-trip times in ms, ascending. */
  readonly ms: ReadonlyArray<number>
}

const ping = async (lab: LabNetwork, ...args: ReadonlyArray<string>): Promise<Pings> => {
  const [command, ...rest] = lab.enter("a")
  const all = [...rest, "ping", "-n", ...args, lab.addressOf("b")]
  // Exit code 1 says that there was no answer.
  const { stdout } = await execute(command, all).catch((failed: { stdout: string }) => failed)
  const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? 0)
  return {
    sent: number(/(\d+) packets transmitted/),
    received: number(/(\d+) received/),
    duplicates: number(/\+(\d+) duplicates/),
    ms: [...stdout.matchAll(/time=([\d.]+)/g)].map(([, ms]) => Number(ms)).sort((x, y) => x - y)
  }
}

const median = ({ ms }: Pings): number => ms[Math.floor(ms.length / 2)]

describe.skipIf(missing !== "")(named("links through a guest with netem", missing), () => {
  const id = `hz-box-${process.pid}`
  let lab: LabNetwork
  beforeAll(async () => {
    lab = await buildNetns(topology, { id, driver: makeBoxDriver, purpose: "test" })
  })
  afterAll(() => lab?.close())

  const changed = async (change: Partial<LinkSpec>, way: "up" | "down" | "both", work: () => Promise<void>) => {
    const undo = await lab.changeLink("a", way, change)
    try {
      await work()
    } finally {
      await undo()
    }
  }

  test("a link without impairments passes packets in well under 5 ms", async () => {
    expect(median(await ping(lab, "-c", "10", "-i", "0.02"))).toBeLessThan(5)
  })

  test("each way delays by what it was told, within 5 %", async () => {
    await changed({ delayUs: 30_000 }, "up", () =>
      changed({ delayUs: 10_000 }, "down", async () => {
        const pings = await ping(lab, "-c", "40", "-i", "0.02")
        expect(pings.ms[0]).toBeGreaterThanOrEqual(40)
        expect(median(pings)).toBeLessThan(42)
      })
    )
    expect(median(await ping(lab, "-c", "5", "-i", "0.02")), "the delay is gone").toBeLessThan(5)
  })

  test("one packet in ten is lost, and each lost one is counted, on the way that loses alone", async () => {
    const before = (await lab.counts()).get("a")!
    await changed({ lossPpm: 100_000 }, "up", async () => {
      const { received, sent } = await ping(lab, "-q", "-f", "-l", "8", "-c", "2000")
      expect(sent).toBe(2_000)
      // Five standard deviations of 2,000 draws.
      expect(Math.abs(sent - received - 200)).toBeLessThan(67)
      const after = (await lab.counts()).get("a")!
      expect(after.up.dropped - before.up.dropped).toBe(sent - received)
      expect(after.down.dropped).toBe(before.down.dropped)
      expect(after.down.packets - before.down.packets).toBe(received)
    })
  })

  test("duplicates come", async () => {
    await changed({ duplicatePpm: 500_000 }, "down", async () => {
      const { duplicates } = await ping(lab, "-q", "-c", "100", "-i", "0.002")
      expect(duplicates).toBeGreaterThan(20)
      expect(duplicates).toBeLessThan(80)
    })
  })

  test("netem sees one frame for each packet of a stream, however large the pieces are in which it is sent", async () => {
    const before = (await lab.counts()).get("a")!.up
    await changed({ delayUs: 1_000 }, "up", async () => {
      const { bytes } = await transfer(lab, "a", "b", 5_000_000)
      const after = (await lab.counts()).get("a")!.up
      const packets = after.packets - before.packets
      expect(packets).toBeGreaterThanOrEqual(bytes / 1_448)
      expect((after.bytes - before.bytes) / packets).toBeLessThanOrEqual(1_500)
    })
  })

  test.each([
    ["droptail", { kind: "droptail", packetsMax: 100, bytesMax: 10_000_000 }],
    ["bytes", { kind: "droptail", packetsMax: 100_000, bytesMax: 100_000 }],
    [
      "CoDel",
      { kind: "codel", packetsMax: 100, bytesMax: 10_000_000, targetUs: 5_000, intervalUs: 100_000, ecn: false }
    ]
  ] as const)("a rate before a queue (%s) is the rate of IP packets", async (_, queue) => {
    await changed({ rateBps: 20_000_000, queue, delayUs: 2_000 }, "up", async () => {
      const { bytes, ms } = await transfer(lab, "a", "b", 2_000_000)
      // 1,448 of 1,500 bytes are the program's.
      const rateBps = (bytes * 8_000 * 1_500) / 1_448 / ms
      // The guest shares the processors with other tests; calibration looks more closely.
      expect(rateBps).toBeGreaterThan(20e6 * 0.85)
      expect(rateBps).toBeLessThan(20e6 * 1.05)
    })
  })

  test("an MTU holds to the byte, for one way", async () => {
    await changed({ mtuBytes: 1_000, mtuAnswer: false }, "up", async () => {
      const of = (bytes: number) => ping(lab, "-c", "1", "-W", "0.5", "-M", "do", "-s", `${bytes - 28}`)
      expect((await of(1_000)).received).toBe(1)
      expect((await of(1_001)).received).toBe(0)
    })
    expect((await ping(lab, "-c", "1", "-M", "do", "-s", "1472")).received).toBe(1)
  })

  test("what tc cannot do is refused, and the link stays as it was", async () => {
    await expect(lab.changeLink("a", "both", { truncatePpm: 5 })).rejects.toThrow(/link a\/up: tc cannot do this.*cut/)
    await expect(lab.changeLink("a", "up", { duplicatePpm: 2_000_000 })).rejects.toThrow(/link a\/up: /)
    expect((await ping(lab, "-c", "1")).received).toBe(1)
  })

  test("its end leaves no namespace, no guest and no record", async () => {
    await lab.close()
    expect(existsSync(`/run/netns/${id}.-box0`)).toBe(false)
    expect(listLabs().some((record) => record.id === id)).toBe(false)
    const { stdout } = spawnSync("ps", ["-e", "-o", "args="], { encoding: "utf8" })
    expect(stdout).not.toContain(`--net=/run/netns/${id}`)
  })
})
