import { execFile, spawn, spawnSync } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { promisify } from "node:util"
import type { Topology } from "@horizon/core/lab/topology.ts"
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest"
import { linkDriverOf } from "../driver-link.ts"
import { named, namespacesMissing } from "../here.fixture.ts"
import type { LabNetwork } from "../lab-network.ts"
import type { MakeLinkDriver } from "../link-driver.ts"
import { LABS_FOLDER, listLabs } from "../registry.ts"
import { transfer } from "../transfer.fixture.ts"
import { buildMininet } from "./mininet-network.ts"
import { mininetMissing } from "./mininet-process.ts"

const execute = promisify(execFile)
const missing = namespacesMissing || (mininetMissing() ?? "")
const tunMissing = missing || (existsSync("/dev/net/tun") ? "" : "needs /dev/net/tun")
const idOf = (name: string): string => `hz-mn-${name}-${process.pid}`

const topology: Topology = {
  subnets: { internet: { cidr: "198.51.100.0/24" }, home: { cidr: "192.168.1.0/24" } },
  hosts: { server: { subnet: "internet" }, alice: { subnet: "home" }, anna: { subnet: "home" } },
  routers: {
    router: {
      subnets: ["home", "internet"],
      nat: { kind: "port-restricted", outside: "internet", udpTimeoutMs: 30_000, hairpin: true }
    }
  }
}

/** Round-trip times of pings that were answered, in ms, ascending. */
const ping = async (
  lab: LabNetwork,
  from: string,
  to: string,
  ...args: ReadonlyArray<string>
): Promise<Array<number>> => {
  const [command, ...rest] = lab.enter(from)
  const { stdout } = await execute(command, [
    ...rest,
    "ping",
    "-n",
    "-c",
    "1",
    "-W",
    "0.5",
    ...args,
    lab.addressOf(to)
  ]).catch((failed: { stdout: string }) => failed)
  return [...stdout.matchAll(/time=([\d.]+)/g)].map(([, ms]) => Number(ms)).sort((x, y) => x - y)
}

const nothingIsLeft = (id: string): void => {
  expect(existsSync(`${LABS_FOLDER}/${id}.json`)).toBe(false)
  expect(readdirSync("/run/netns").filter((name) => name.startsWith(id))).toEqual([])
  const { stdout } = spawnSync("ps", ["-e", "-o", "args="], { encoding: "utf8" })
  expect(stdout).not.toContain(`/run/netns/${id}`)
}

test("without Mininet, or without root, nothing is built, and the reason says what to do", async () => {
  const getuid = vi.spyOn(process, "getuid").mockReturnValue(1000)
  try {
    await expect(buildMininet(topology, { id: idOf("nobody"), switch: "bridge" })).rejects.toMatchObject({
      reason: "missing",
      message: expect.stringMatching(/^Mininet needs root: /)
    })
    expect(listLabs().some(({ id }) => id === idOf("nobody"))).toBe(false)
  } finally {
    getuid.mockRestore()
  }
})

describe.skipIf(missing !== "")(named("a lab in Mininet", missing), () => {
  let lab: LabNetwork
  beforeAll(async () => {
    lab = await buildMininet(topology, { id: idOf("own"), switch: "bridge", purpose: "test" })
  })
  afterAll(() => lab?.close())

  test("programs on its hosts reach each other, through a NAT as well", async () => {
    expect(await ping(lab, "alice", "anna")).toHaveLength(1)
    const { bytes, from } = await transfer(lab, "alice", "server", 100_000)
    expect(bytes).toBe(100_000)
    expect(from, "as the server sees it").toMatch(/^198\.51\.100\./)
    expect(lab.driver).toBe("plain")
    const counts = await lab.counts()
    expect(counts.get("router/internet")!.up.bytes).toBeGreaterThan(100_000)
  })

  test("partitions, links that are down and addresses that change are faults here too", async () => {
    const heal = await lab.partition(["alice"], ["anna"], "both")
    expect(await ping(lab, "alice", "anna")).toEqual([])
    expect(await ping(lab, "alice", "server")).toHaveLength(1)
    await heal()
    const up = await lab.linkDown("anna")
    expect(await ping(lab, "alice", "anna")).toEqual([])
    await up()
    const before = lab.addressOf("anna")
    expect(await lab.changeAddress("anna")).not.toBe(before)
    expect(await ping(lab, "alice", "anna")).toHaveLength(1)
  })

  test("its own links are perfect and refuse to be anything else", async () => {
    await expect(lab.changeLink("alice", "up", { delayUs: 5_000 })).rejects.toThrow(
      /the driver "plain" has perfect links only/
    )
  })

  test("its end leaves nothing, and ends what still runs on its hosts", async () => {
    const [command, ...rest] = lab.enter("alice")
    const sleeper = spawn(command, [...rest, "sleep", "60"], { stdio: "ignore" })
    const ended = new Promise((resolve) => sleeper.once("exit", resolve))
    await lab.close()
    await lab.close()
    await ended
    nothingIsLeft(idOf("own"))
  })
})

test.skipIf(tunMissing !== "")(
  named("links of another driver join Mininet's switches, and do what they are told", tunMissing),
  async () => {
    const impaired: Topology = {
      ...topology,
      hosts: { ...topology.hosts, alice: { subnet: "home", up: { delayUs: 20_000 } } }
    }
    const lab = await buildMininet(impaired, { id: idOf("link"), switch: "bridge", driver: linkDriverOf(1) })
    try {
      const ms = await ping(lab, "alice", "anna", "-c", "11", "-i", "0.02")
      expect(ms).toHaveLength(11)
      expect(ms[0]).toBeGreaterThanOrEqual(20)
      expect(ms[5]).toBeLessThan(25)
      expect(lab.driver).toBe("link")
    } finally {
      await lab.close()
    }
    nothingIsLeft(idOf("link"))
  }
)

test.skipIf(missing !== "")(named("what cannot be built leaves nothing", missing), async () => {
  const refusing: MakeLinkDriver = async () => {
    throw new Error("no links today")
  }
  await expect(buildMininet(topology, { id: idOf("none"), switch: "bridge", driver: refusing })).rejects.toThrow(
    "no links today"
  )
  nothingIsLeft(idOf("none"))
})
