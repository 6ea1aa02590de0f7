import { execFile } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import type { Topology } from "@horizon/core/lab/topology.ts"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { hasQdisc, named, namespacesMissing } from "../here.fixture.ts"
import { bootGuest, type Guest, guestMissing } from "../uml/guest.ts"
import { type ExportedTopology, exportTopology } from "./export.ts"
import { mininetMissing } from "./mininet-process.ts"

const execute = promisify(execFile)
const SCRIPT = fileURLToPath(new URL("topology.py", import.meta.url))
const PYTHON = "/usr/bin/python3"
const missing = namespacesMissing || (mininetMissing() ?? "")
const guestless = missing || (guestMissing() ?? "")
const netemThere = missing || (hasQdisc("netem") ? "this kernel has netem" : "")

/** Two subnets, a router between them. */
const plain: Topology = {
  subnets: { left: { cidr: "10.0.0.0/24" }, right: { cidr: "10.0.1.0/24" } },
  hosts: { a: { subnet: "left" }, b: { subnet: "left" }, c: { subnet: "right" } },
  routers: { r: { subnets: ["left", "right"] } }
}

const impaired: Topology = {
  ...plain,
  hosts: {
    ...plain.hosts,
    a: {
      subnet: "left",
      up: { delayUs: 20_000, jitterUs: 100, lossPpm: 1 },
      down: {
        delayUs: 10_000,
        rateBps: 50_000_000,
        queue: { kind: "codel", packetsMax: 100, bytesMax: 1e7, targetUs: 5_000, intervalUs: 100_000, ecn: false }
      }
    }
  }
}

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "horizon-topology-"))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const fileOf = (name: string, exported: ExportedTopology): string => {
  const file = join(folder, `${name}.json`)
  writeFileSync(file, JSON.stringify(exported))
  return file
}

const reachable = (line: string): boolean => {
  const { answers } = JSON.parse(line) as { answers: Record<string, Record<string, boolean>> }
  const all = Object.values(answers).flatMap((row) => Object.values(row))
  return all.length === 6 && all.every((answer) => answer)
}

describe.skipIf(missing !== "")(named("a topology in Mininet on this kernel", missing), () => {
  const isolated = (...args: ReadonlyArray<string>) =>
    execute("unshare", ["-n", "-m", "-p", "-f", "--mount-proc", "--kill-child", "--", ...args])

  test("every host reaches every other, through Linux bridges and a router", async () => {
    const { stdout } = await isolated(
      PYTHON,
      SCRIPT,
      fileOf("plain", exportTopology("plain", plain)),
      "--switch",
      "bridge",
      "--ping"
    )
    expect(reachable(stdout)).toBe(true)
    expect(JSON.parse(stdout).state).toMatchObject({ switch: "bridge", links: "own", impaired: 0 })
  })

  test("it refuses to run beside anybody's network", async () => {
    const file = fileOf("company", exportTopology("plain", plain))
    const script = `ip link add x type veth peer name y && ip link set x up && exec ${PYTHON} ${SCRIPT} ${file}`
    await expect(isolated("sh", "-c", script)).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^topology.py: x is up here: run this in a network of its own: unshare /)
    })
  })

  test.skipIf(netemThere !== "")(
    named("without netem an impaired link is an error, not a perfect link", netemThere),
    async () => {
      await expect(
        isolated(PYTHON, SCRIPT, fileOf("bare", exportTopology("impaired", impaired)), "--ping")
      ).rejects.toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/^topology.py: tc qdisc add dev eth0 .* on a failed .*qdisc kind is unknown/)
      })
    }
  )
})

describe.skipIf(guestless !== "")(named("a topology in Mininet in a guest", guestless), () => {
  let guest: Guest
  beforeAll(async () => {
    guest = await bootGuest({ memoryMiB: 512, modules: [] })
  })
  afterAll(() => guest?.close())

  test("a kernel that does not hold what it was told is an error that names the link", async () => {
    const exported = structuredClone(exportTopology("impaired", impaired)) as unknown as {
      nodes: Array<{ interfaces: Array<{ up: { qdiscs: Array<{ holds: Record<string, number> }> } }> }>
    }
    // As if the kernel had taken 20 ms for 21.
    exported.nodes[0].interfaces[0].up.qdiscs[0].holds["delay us"] = 21_000
    const file = fileOf("tampered", exported as unknown as ExportedTopology)
    const { code, err } = await guest.exec(PYTHON, [SCRIPT, file, "--switch", "bridge", "--ping"])
    expect(err).toMatch(
      /link a\/up: the kernel holds something else than asked: netem delay us 21000 was planned, 20000(\.0)? is there/
    )
    expect(code).toBe(2)
  })

  test("with Open vSwitch every host reaches every other, and an impaired link delays by what it was told, within 5 %", async () => {
    const file = fileOf("guest", exportTopology("impaired", impaired))
    let out = ""
    let err = ""
    const mininet = guest.start(
      { command: PYTHON, args: [SCRIPT, file, "--switch", "ovs"] },
      { out: (bytes) => void (out += bytes), err: (bytes) => void (err += bytes) }
    )
    while (!out.includes("\n") && err === "") await new Promise((resolve) => setTimeout(resolve, 20))
    expect(err).toBe("")
    const {
      impaired: ends,
      pids,
      switch: kind
    } = JSON.parse(out) as { impaired: number; pids: Record<string, number>; switch: string }
    expect([kind, ends]).toEqual(["ovs", 2])
    const pings = await guest.must("mnexec", ["-a", `${pids["a"]}`, "ping", "-n", "-c", "20", "-i", "0.05", "10.0.1.2"])
    const ms = [...pings.matchAll(/time=([\d.]+)/g)].map(([, time]) => Number(time)).sort((x, y) => x - y)
    expect(ms).toHaveLength(20)
    expect(ms[10]).toBeGreaterThan(30 * 0.95)
    expect(ms[10]).toBeLessThan(30 * 1.05)
    await guest.must("mnexec", ["-a", `${pids["c"]}`, "ping", "-n", "-c", "1", "10.0.0.3"])
    mininet.end()
    expect(await mininet.exit).toBe(0)
    expect(await guest.must("ip", ["-br", "link"]), "nothing is left").not.toMatch(/br\d|p\d/)
    expect(await guest.must("ps", ["-e", "-o", "comm="])).not.toMatch(/ovs|mnexec/)
  })
})
