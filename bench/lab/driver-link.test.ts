import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { promisify } from "node:util"
import type { Topology } from "@horizon/core/lab/topology.ts"
import type { LinkSpec } from "@horizon/core/link/spec.ts"
import { loadNative } from "@horizon/native/native.ts"
import { Rng } from "@horizon/sim/kernel/rng.ts"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { linkDriverOf } from "./driver-link.ts"
import { named, namespacesMissing } from "./here.fixture.ts"
import type { LabNetwork } from "./lab-network.ts"
import { buildNetns } from "./netns.ts"
import { listLabs } from "./registry.ts"
import { transfer } from "./transfer.fixture.ts"
import { UdpAgent } from "./udp-agent.fixture.ts"

const execute = promisify(execFile)
const loaded = loadNative()
const missing = namespacesMissing || ("missing" in loaded ? loaded.missing : "")
const SEED = 11
const PORT = 7001

const topology: Topology = {
  subnets: { lan: { cidr: "10.0.0.0/24" } },
  hosts: { a: { subnet: "lan" }, b: { subnet: "lan" } },
  routers: {}
}

describe.skipIf(missing !== "")(named("links through a process that runs core/link on the frames", missing), () => {
  const id = `hz-link-${process.pid}`
  let lab: LabNetwork
  let sender: UdpAgent
  let receiver: UdpAgent
  beforeAll(async () => {
    lab = await buildNetns(topology, { id, driver: linkDriverOf(SEED), purpose: "test" })
    sender = new UdpAgent(lab.enter("a"))
    receiver = new UdpAgent(lab.enter("b"))
    await Promise.all([sender.ready(), receiver.ready()])
    await receiver.open(PORT)
  })
  afterAll(async () => {
    sender?.close()
    receiver?.close()
    await lab?.close()
  })

  const changed = async (change: Partial<LinkSpec>, way: "up" | "down" | "both", work: () => Promise<void>) => {
    const undo = await lab.changeLink("a", way, change)
    try {
      await work()
    } finally {
      await undo()
    }
  }
  const ping = async (...args: ReadonlyArray<string>): Promise<string> => {
    const [command, ...rest] = lab.enter("a")
    // Exit code 1 says that there was no answer.
    const { stdout } = await execute(command, [...rest, "ping", "-n", ...args, lab.addressOf("b")]).catch(
      (failed: { stdout: string }) => failed
    )
    return stdout
  }
  const times = (stdout: string): ReadonlyArray<number> =>
    [...stdout.matchAll(/time=([\d.]+)/g)].map(([, ms]) => Number(ms)).sort((x, y) => x - y)
  const median = (ms: ReadonlyArray<number>): number => ms[Math.floor(ms.length / 2)]
  /** Sends texts from a to b. */
  const send = async (texts: ReadonlyArray<string>): Promise<void> => {
    for (const text of texts) await sender.send(PORT, lab.addressOf("b"), PORT, text)
  }
  /** Counts of the link of a, upwards, since it was asked before. */
  const grown = async (work: () => Promise<unknown>) => {
    const before = (await lab.counts()).get("a")!.up
    await work()
    const after = (await lab.counts()).get("a")!.up
    return {
      packets: after.packets - before.packets,
      bytes: after.bytes - before.bytes,
      dropped: after.dropped - before.dropped,
      corrupted: after.corrupted! - before.corrupted!,
      duplicated: after.duplicated! - before.duplicated!,
      overrun: after.overrun! - before.overrun!
    }
  }

  test("each way delays by what it was told, and neither by more than a link that does nothing adds", async () => {
    const bare = median(times(await ping("-c", "20", "-i", "0.01")))
    expect(bare).toBeLessThan(5)
    await changed({ delayUs: 30_000 }, "up", () =>
      changed({ delayUs: 10_000 }, "down", async () => {
        const ms = times(await ping("-c", "40", "-i", "0.02"))
        expect(ms[0]).toBeGreaterThanOrEqual(40)
        expect(median(ms)).toBeLessThan(40 + bare + 1)
      })
    )
    expect(median(times(await ping("-c", "5", "-i", "0.01"))), "the delay is gone").toBeLessThan(5)
  })

  test("the packets that chance takes are those that it takes in the simulated network with the same seed", async () => {
    const random = new Rng(SEED, "net/a/up/loss")
    const lost = Array.from({ length: 300 }, () => random.u32() < 0.2 * 2 ** 32)
    const texts = lost.map((_, index) => `loss ${index}`)
    const { dropped, packets } = await grown(() =>
      changed({ lossPpm: 200_000 }, "up", async () => {
        await send(texts)
        await receiver.arrival(texts[lost.lastIndexOf(false)])
        const arrived = await Promise.all(texts.map(async (text) => (await receiver.glimpse(text)) === undefined))
        expect(arrived).toEqual(lost)
      })
    )
    expect(dropped).toBe(lost.filter(Boolean).length)
    expect(packets).toBe(300 - dropped)
  })

  // The program ends with the last answer, and may not wait for its copy.
  test("every packet comes twice if each is duplicated, and once again when that is over", async () => {
    const { duplicated } = await grown(() =>
      changed({ duplicatePpm: 1_000_000 }, "up", async () => {
        expect(await ping("-q", "-c", "10", "-i", "0.01")).toMatch(/10 received, \+(9|10) duplicates/)
      })
    )
    expect(duplicated).toBe(10)
    expect(await ping("-q", "-c", "5", "-i", "0.01")).toMatch(/5 received, 0% packet loss/)
  })

  test("packets that a gap lets skip the delay come before those that wait", async () => {
    await changed({ delayUs: 50_000, reorderGap: { gap: 4, ppm: 1_000_000 } }, "up", async () => {
      const texts = Array.from({ length: 8 }, (_, index) => `gap ${index}`)
      const order: Array<string> = []
      const arrivals = texts.map((text) => receiver.arrival(text).then(() => order.push(text)))
      await send(texts)
      await Promise.all(arrivals)
      expect(order).toEqual(["gap 3", "gap 7", "gap 0", "gap 1", "gap 2", "gap 4", "gap 5", "gap 6"])
    })
  })

  test("a damaged packet is delivered, and thrown away by its receiver, whose checksum finds it out", async () => {
    const { corrupted, packets } = await grown(() =>
      changed({ corruptPpm: 1_000_000 }, "up", async () => {
        await send(["damaged 1", "damaged 2"])
        expect(await receiver.glimpse("damaged 1")).toBeUndefined()
        expect(await receiver.glimpse("damaged 2")).toBeUndefined()
      })
    )
    expect([corrupted, packets]).toEqual([2, 2])
    await send(["sound"])
    await receiver.arrival("sound")
  })

  test("an MTU holds to the byte, and its answer tells the sender what fits; without the answer packets vanish", async () => {
    await changed({ mtuBytes: 1_000 }, "up", async () => {
      expect(await ping("-c", "1", "-M", "do", "-s", "972")).toMatch(/1 received/)
      expect(await ping("-c", "2", "-i", "0.1", "-W", "1", "-M", "do", "-s", "973")).toMatch(/mtu ?= ?1000/)
    })
    // The host remembers what it was told, so another size shows that nothing is said.
    await changed({ mtuBytes: 900, mtuAnswer: false }, "up", async () => {
      const said = await ping("-c", "1", "-W", "0.3", "-M", "do", "-s", "873")
      expect(said).toMatch(/0 received/)
      expect(said).not.toMatch(/mtu/)
    })
  })

  test.each([
    ["a droptail queue", { kind: "droptail", packetsMax: 100, bytesMax: 10_000_000 }],
    [
      "CoDel",
      { kind: "codel", packetsMax: 100, bytesMax: 10_000_000, targetUs: 5_000, intervalUs: 100_000, ecn: false }
    ]
  ] as const)("a rate before %s is the rate of IP packets", async (_, queue) => {
    await changed({ rateBps: 20_000_000, queue, delayUs: 2_000 }, "up", async () => {
      const { bytes, ms } = await transfer(lab, "a", "b", 2_000_000)
      // 1,448 of 1,500 bytes are the program's.
      const rateBps = (bytes * 8_000 * 1_500) / 1_448 / ms
      expect(rateBps).toBeGreaterThan(20e6 * 0.93)
      expect(rateBps).toBeLessThan(20e6 * 1.05)
    })
  })

  test("each packet of a stream is one for the link, however large the pieces are in which it is sent", async () => {
    const counted = await grown(() =>
      changed({ delayUs: 1_000 }, "up", async () => {
        const { bytes } = await transfer(lab, "a", "b", 5_000_000)
        expect(bytes).toBe(5_000_000)
      })
    )
    expect(counted.packets).toBeGreaterThanOrEqual(5_000_000 / 1_448)
    expect(counted.bytes / counted.packets).toBeLessThanOrEqual(1_500)
    expect(counted).toMatchObject({ dropped: 0, overrun: 0 })
  })

  test("a spec that is none is refused by name of its field, and the link stays as it was", async () => {
    await expect(lab.changeLink("a", "up", { lossPpm: 2_000_000 })).rejects.toThrow(/link process: .*lossPpm/)
    expect(await ping("-c", "1")).toMatch(/1 received/)
  })

  test("a link process that is gone is found out by the next question", async () => {
    const [{ pid }] = listLabs().find((record) => record.id === id)!.processes
    process.kill(pid, "SIGKILL")
    await expect(lab.counts()).rejects.toThrow(/the link process does not answer/)
  })

  test("its end leaves no namespace, no process and no record", async () => {
    const { processes } = listLabs().find((record) => record.id === id)!
    await lab.close()
    expect(existsSync(`/run/netns/${id}-links`)).toBe(false)
    expect(listLabs().some((record) => record.id === id)).toBe(false)
    expect(processes.filter(({ pid }) => existsSync(`/proc/${pid}/exe`))).toEqual([])
  })
})
