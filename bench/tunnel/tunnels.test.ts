import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, test } from "vitest"
import { floorProgram } from "../floor/floor.ts"
import { missingTool, run } from "../lab/command.ts"
import { deviceCounts } from "../lab/veth.ts"
import { Child } from "../net/child.ts"
import { makePair, type Pair, pairMissing } from "../net/pair.ts"
import { transfer } from "../net/udp-program.ts"
import { ENDS, type Peer, type Tunnel } from "../peers/peer.ts"
import { tunUso } from "../peers/tun-floor.ts"
import { tunnelOffload, tunnelOffloadWide, tunnelPlain } from "../peers/tunnel-floor.ts"
import { figureSpecs, type TunnelRound } from "./comparison.ts"
import { measureTcp, startServer } from "./iperf3.ts"
import { measureRoundTrips, warmUp } from "./round-trip.ts"
import { bestOf, measureTunnels, medianFigures, ratios } from "./tunnels.ts"

const round = (figures: Record<string, number>, failed: Record<string, string> = {}): TunnelRound => ({
  figures,
  failed,
  idleRatio: 1,
  cpu: {},
  udpProbes: {},
  retransmits: {}
})

describe("comparing", () => {
  test("the median of a figure is over the rounds that have it", () => {
    const rounds = [round({ tcp1Forward: 1, udp200: 5 }), round({ tcp1Forward: 9 }), round({ tcp1Forward: 2 })]
    expect(medianFigures(rounds)).toEqual({ tcp1Forward: 2, udp200: 5 })
    expect(medianFigures([])).toEqual({})
  })

  test("the best of several is the most of a rate and the least of a delay", () => {
    const best = bestOf([{ tcp1Forward: 1, rttIdleP50: 30 }, { tcp1Forward: 5, rttIdleP50: 40 }, {}], figureSpecs([]))
    expect(best).toEqual({ tcp1Forward: 5, rttIdleP50: 30 })
  })

  test("a ratio is there only where both have the figure", () => {
    expect(ratios({ tcp1Forward: 3, udp200: 1 }, { tcp1Forward: 4, rttIdleP50: 2 })).toEqual({ tcp1Forward: 0.75 })
  })

  test("a subject that does not exist is refused with those that do", async () => {
    await expect(measureTunnels({ subjects: ["wiregard"] })).rejects.toThrow(
      /no subject "wiregard"; choose from raw-veth/
    )
  })
})

const floor = await tunnelOffload.prepare(() => {})
const missing = pairMissing() ?? missingTool("iperf3") ?? ("missing" in floor ? floor.missing : undefined)
const because = missing === undefined ? "" : ` (skipped: ${missing})`
const noPing = missingTool("ping")

describe.skipIf(missing !== undefined)(`tunnels in C between two namespaces${because}`, () => {
  const through = async (peer: Peer, body: (pair: Pair, tunnel: Tunnel) => Promise<void>): Promise<void> => {
    expect(await peer.prepare(() => {})).toHaveProperty("version")
    const pair = await makePair("test")
    let tunnel: Tunnel | undefined
    try {
      tunnel = await peer.start(pair)
      await body(pair, tunnel)
    } finally {
      await tunnel?.stop()
      await pair.close()
    }
  }

  /** Sends bytes that repeat nowhere over TCP and compares their hashes, so that what is split and joined in between is proved. */
  const sameBytes = async (pair: Pair, address: string): Promise<void> => {
    const common = `const { createHash } = require("node:crypto"); const net = require("node:net"); const hash = createHash("sha256")`
    const receiver = Child.start({
      name: "hash of what arrives",
      command: [
        process.execPath,
        "-e",
        `${common}; net.createServer((s) => s.on("data", (d) => hash.update(d)).on("end", () => { console.log("hash " + hash.digest("hex")); process.exit() }))
        .listen(9, "${address}", () => console.log("ready"))`
      ],
      enter: pair.b.enter
    })
    await receiver.line((line) => line === "ready")
    const sender = Child.start({
      name: "hash of what is sent",
      command: [
        process.execPath,
        "-e",
        `${common}; const data = require("node:crypto").randomBytes(16 * 1024 * 1024); console.log("hash " + hash.update(data).digest("hex"));
        net.connect(9, "${address}").end(data)`
      ],
      enter: pair.a.enter
    })
    const hashOf = (child: Child): Promise<string> => child.line((line) => line.startsWith("hash "))
    expect(await hashOf(receiver)).toBe(await hashOf(sender))
  }

  test.each([tunnelPlain, tunnelOffload, tunUso])(
    "$title: TCP arrives unchanged, every one of 200 datagrams of every size too",
    (peer) =>
      through(peer, async (pair, tunnel) => {
        await sameBytes(pair, tunnel.addresses.b)
        const program = await floorProgram("udp-floor")
        for (const [mode, sizeBytes] of [
          ["sendto", 33],
          ["gso", 200],
          ["sendto", 1_200]
        ] as const) {
          const { sent, received } = await transfer({
            sender: [program, "send", "--mode", mode],
            receiver: [program, "recv", "--mode", "recvmmsg"],
            enterSender: pair.a.enter,
            enterReceiver: pair.b.enter,
            address: tunnel.addresses.b,
            sizeBytes,
            seconds: 5,
            // No more than waits in a TUN device's queue of 500, fragments and all: however busy the host is, nothing may be lost.
            packetsMax: 200,
            settleMs: 400
          })
          expect({ mode, sizeBytes, packets: received.packets, bytes: received.bytes }).toEqual({
            mode,
            sizeBytes,
            packets: sent.packets,
            bytes: 200 * sizeBytes
          })
        }
      })
  )

  test("TCP over IPv6 through the tunnel in C with offloads arrives unchanged", () =>
    through(tunnelOffloadWide, async (pair) => {
      const device = `${pair.id}t`
      for (const end of ENDS) {
        const address = ["address", "add", `fd00::${end}/64`, "dev", device, "nodad"]
        await run(["ip", "-n", pair[end].namespace, "-6", ...address])
      }
      await sameBytes(pair, "fd00::b")
    }))

  test("iperf3 measures a second of TCP through the tunnel", () =>
    through(tunnelOffload, async (pair, tunnel) => {
      const server = await startServer(pair.b)
      const to = tunnel.addresses.b
      const rate = await measureTcp({ from: pair.a, to, streams: 1, backward: false, seconds: 1 })
      await server.stop()
      expect(rate.bitsPerSecond).toBeGreaterThan(1e8)
    }))

  test.skipIf(noPing !== undefined)(
    `round trips through the tunnel are timed, after a warm-up that sends its pings too${noPing === undefined ? "" : ` (skipped: ${noPing})`}`,
    () =>
      through(tunnelOffload, async (pair, tunnel) => {
        const arrived = async (): Promise<number> => (await deviceCounts(pair.b.namespace)).get(`${pair.id}t`)!.received
        const before = await arrived()
        await warmUp(pair.a, tunnel.addresses.b, 0.1)
        const warmedUp = await arrived()
        const { answered, p50Us, p99Us, sent } = await measureRoundTrips(pair.a, tunnel.addresses.b, 0.1)
        expect(warmedUp - before).toBeGreaterThanOrEqual(100)
        expect([answered, sent]).toEqual([50, 50])
        expect(p50Us).toBeGreaterThan(0)
        expect(p99Us).toBeGreaterThanOrEqual(p50Us)
      })
  )

  test("Ctrl-C in the middle of a run ends it with code 130 and leaves no namespace", async () => {
    const cli = fileURLToPath(new URL("../../nodes/cli.ts", import.meta.url))
    const out = mkdtempSync(join(tmpdir(), "horizon-bench-"))
    const args = ["bench", "tunnel", "--subjects", "raw-veth,c-offload", "--rounds", "1", "--out", out]
    const child = spawn(process.execPath, [cli, ...args], { stdio: ["ignore", "ignore", "pipe"] })
    const namespaces = (): ReadonlyArray<string> =>
      readdirSync("/var/run/netns").filter((name) => name.startsWith(`hzp${child.pid}n`))
    let said = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text
    })
    const look = setInterval(() => {
      if (namespaces().length === 0) return
      clearInterval(look)
      child.kill("SIGINT")
    }, 20)
    const [code] = await once(child, "close")
    clearInterval(look)
    expect([code, readdirSync(out)], said).toEqual([130, []])
    rmSync(out, { recursive: true })
    expect(namespaces()).toEqual([])
  })
})
