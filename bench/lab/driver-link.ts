/**
 * Link driver `link`: core/link itself on real frames, in one process for all links of a lab. It works on every kernel that has TUN devices, and does
 * exactly what the simulator's links do, with the same random streams; its speed is that of one core.
 */

import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { entering, ipBatch, run } from "./command.ts"
import { LabError } from "./lab-error.ts"
import type { LinkAnswer, LinkRequest } from "./link/link-words.ts"
import type { LinkCount, LinkDriver, LinkEnds, LinkWay, MakeLinkDriver } from "./link-driver.ts"
import { recordNamespaces, recordPid } from "./registry.ts"
import { removeDevices } from "./veth.ts"

/** A process that takes longer to answer hangs. */
const ANSWER_MS_MAX = 20_000

/** Links whose random streams come from `seed`. */
export const linkDriverOf =
  (seed: number): MakeLinkDriver =>
  async (lab, links) => {
    const namespace = `${lab}-links`
    recordNamespaces(lab, [namespace])
    await run("ip", ["netns", "add", namespace])
    const process = new LinkProcess(namespace)
    try {
      recordPid(lab, process.pid)
      const devices = links.map((link, index) => ({ name: link.name, host: `h${index}`, subnet: `s${index}` }))
      await process.ask({ seed, links: devices })
      await move(namespace, links)
    } catch (cause) {
      await process.close()
      await run("ip", ["netns", "del", namespace]).catch(() => {})
      throw cause
    }
    return driver(process, namespace, links)
  }

export const makeLinkDriver: MakeLinkDriver = linkDriverOf(1)

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
      return new Map<string, Readonly<Record<LinkWay, LinkCount>>>(counts)
    },
    close: async () => {
      if (closed) return
      closed = true
      await process.close()
      await removeDevices(links.map(({ subnet }) => subnet))
      await run("ip", ["netns", "del", namespace]).catch(() => {})
    }
  }
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
      ours.map(([, end]) => `link set dev ${end.device} up`),
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
    const [command, ...prefix] = entering(namespace)
    const program = fileURLToPath(new URL("link/link-process.ts", import.meta.url))
    this.child = spawn(command, [...prefix, process.execPath, program], { stdio: ["pipe", "pipe", "pipe"] })
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
