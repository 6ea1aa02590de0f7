/**
 * Link driver `link`: core/link itself on real frames, in one process for all links of a lab. It works on every kernel that has TUN devices, and does
 * exactly what the simulator's links do, with the same random streams; its speed is that of one core.
 */

import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { forEachFew, run } from "./command.ts"
import { favour } from "./favour.ts"
import { LabError } from "./lab-error.ts"
import type { LinkAnswer, LinkRequest } from "./link/link-words.ts"
import type { LinkCount, LinkDriver, LinkEnd, LinkEnds, LinkWay, MakeLinkDriver } from "./link-driver.ts"
import { entering, ipBatch } from "./network-tools.ts"
import { recordNamespaces, recordPid } from "./registry.ts"
import { type DeviceCount, deviceCounts, removeDevices } from "./veth.ts"

export const WIRE_NICE = -20
/** Frames that wait at a device while the processor does other things: 48 ms of full ones at 1 Gbit/s. */
const WAITING_FRAMES_MAX = 4_000
/** A process that takes longer to answer hangs. */
const ANSWER_MS_MAX = 20_000

/**
 * Links whose random streams come from `seed`: those of the simulated network with the same seed. With `awake` the process never sleeps, which
 * costs a processor and saves each frame the time to wake it.
 */
export const linkDriverOf =
  (seed: number, awake: boolean = false): MakeLinkDriver =>
  async (lab, links) => {
    const namespace = `${lab}-links`
    recordNamespaces(lab, [namespace])
    await run(["ip", "netns", "add", namespace])
    const process = new LinkProcess(namespace)
    try {
      recordPid(lab, process.pid)
      const devices = links.map((link, index) => ({ name: link.name, host: `h${index}`, subnet: `s${index}` }))
      await process.ask({ seed, awake, links: devices })
      // A wire does not wait for a processor.
      favour([process.pid], WIRE_NICE)
      await move(namespace, links)
    } catch (cause) {
      await process.close()
      await run(["ip", "netns", "del", namespace]).catch(() => {})
      throw cause
    }
    return driver(process, namespace, links)
  }

const driver = (process: LinkProcess, namespace: string, links: ReadonlyArray<LinkEnds>): LinkDriver => {
  let closed = false
  return {
    name: "link",
    configure: async (link, way, spec) => {
      await process.ask({ do: "configure", link, way, spec })
      return []
    },
    counts: async () => {
      const { counts } = await process.ask({ do: "counts" })
      return withMissed(new Map(counts), links)
    },
    close: async () => {
      if (closed) return
      closed = true
      await process.close()
      await removeDevices(links.map(({ subnet }) => subnet))
      await run(["ip", "netns", "del", namespace]).catch(() => {})
    }
  }
}

/** What the process counts, and what it was too late to read, which only the devices know. */
const withMissed = async (
  counts: ReadonlyMap<string, Readonly<Record<LinkWay, LinkCount>>>,
  links: ReadonlyArray<LinkEnds>
): Promise<ReadonlyMap<string, Readonly<Record<LinkWay, LinkCount>>>> => {
  const namespaces = new Set(links.flatMap(({ host, subnet }) => [host.namespace, subnet.namespace]))
  const devices = new Map<string, ReadonlyMap<string, DeviceCount>>()
  await forEachFew([...namespaces], async (name) => devices.set(name, await deviceCounts(name)))
  const plusMissed = (count: LinkCount, entry: LinkEnd): LinkCount => {
    const missed = devices.get(entry.namespace)?.get(entry.device)?.dropped ?? 0
    return { ...count, dropped: count.dropped + missed, overrun: (count.overrun ?? 0) + missed }
  }
  return new Map(
    links.map(({ host, name, subnet }) => {
      const { down, up } = counts.get(name)!
      return [name, { up: plusMissed(up, host), down: plusMissed(down, subnet) }]
    })
  )
}

/** The process keeps hold of a device wherever that is moved to. */
const move = async (namespace: string, links: ReadonlyArray<LinkEnds>): Promise<void> => {
  const ends = links.flatMap((link, index) => [[`h${index}`, link.host] as const, [`s${index}`, link.subnet] as const])
  await ipBatch(
    ends.map(([device, end]) => `link set dev ${device} netns ${end.namespace} name ${end.device}`),
    namespace
  )
  const byNamespace = Map.groupBy(ends, ([, end]) => end.namespace)
  for (const [target, ours] of byNamespace)
    await ipBatch(
      ours.map(([, end]) => `link set dev ${end.device} txqueuelen ${WAITING_FRAMES_MAX} up`),
      target
    )
}

/** The process, and questions to it in order. */
class LinkProcess {
  private readonly child: ChildProcess
  private readonly waiting: Array<(line: string | undefined) => void> = []
  private stderr = ""
  private ended: Promise<void>

  constructor(namespace: string) {
    const program = fileURLToPath(new URL("link/link-process.ts", import.meta.url))
    const [command, ...args] = [...entering(namespace), process.execPath, program]
    // In a session of its own, whose share of the processor it may raise.
    this.child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"], detached: true })
    this.child.stdin?.on("error", () => {})
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr = (this.stderr + text).slice(-2_000)
    })
    createInterface({ input: this.child.stdout! }).on("line", (line) => this.waiting.shift()?.(line))
    this.ended = new Promise((resolve) => {
      const end = (): void => {
        for (const resume of this.waiting.splice(0)) resume(undefined)
        resolve()
      }
      this.child.once("error", end)
      this.child.once("close", end)
    })
  }

  get pid(): number {
    return this.child.pid ?? 0
  }

  async ask(request: LinkRequest | object): Promise<LinkAnswer & { readonly ok: true }> {
    const line = await new Promise<string | undefined>((resolve) => {
      if (this.child.exitCode !== null || this.child.signalCode !== null) return resolve(undefined)
      const timer = setTimeout(() => resolve(undefined), ANSWER_MS_MAX)
      this.waiting.push((said) => {
        clearTimeout(timer)
        resolve(said)
      })
      this.child.stdin?.write(`${JSON.stringify(request)}\n`)
    })
    if (line === undefined)
      throw new LabError("failed", `the link process does not answer: ${this.stderr.trim() || "it said nothing"}`)
    const answer = JSON.parse(line) as LinkAnswer
    if (answer.ok) return answer
    throw new LabError(answer.missing ? "missing" : "failed", `link process: ${answer.sentence}`)
  }

  /** Ends it by the end of its input, and by force if it does not listen. */
  async close(): Promise<void> {
    this.child.stdin?.end()
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 2_000)
    await this.ended
    clearTimeout(timer)
  }
}
