/** A process inside a lab's host with UDP sockets, as a test holds it. */

import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

export interface Received {
  readonly port: number
  readonly text: string
  readonly from: string
  readonly fromPort: number
}

/** A packet that passes is there by then even on a busy machine; one that does not is given up after the shorter time. */
const ARRIVES_MS_MAX = 5_000
const LOST_MS = 90

export class UdpAgent {
  private readonly child: ChildProcess
  private readonly received = new Map<string, Received>()
  private readonly opened = new Set<number>()
  private readonly watchers = new Set<() => void>()
  private isReady = false

  /** `enter`: what to put before a command so that it runs in the host. */
  constructor(enter: ReadonlyArray<string>) {
    const [command, ...rest] = enter
    const program = fileURLToPath(new URL("./udp-agent-process.fixture.ts", import.meta.url))
    this.child = spawn(command, [...rest, process.execPath, program], { stdio: ["pipe", "pipe", "inherit"] })
    createInterface({ input: this.child.stdout! }).on("line", (line) => this.note(JSON.parse(line)))
  }

  ready(): Promise<unknown> {
    return this.until(() => this.isReady || undefined, ARRIVES_MS_MAX)
  }

  /** Opens a socket on a port, if it is not open. */
  async open(port: number): Promise<void> {
    if (this.opened.has(port)) return
    this.order({ port, text: "", to: "", toPort: 0 })
    await this.until(() => this.opened.has(port) || undefined, ARRIVES_MS_MAX)
  }

  /** Sends a text, which should be like no other, from a port. */
  async send(port: number, to: string, toPort: number, text: string): Promise<void> {
    await this.open(port)
    this.order({ port, text, to, toPort })
  }

  /** The packet of that text; rejects if it does not come. */
  async arrival(text: string): Promise<Received> {
    const found = await this.until(() => this.received.get(text), ARRIVES_MS_MAX)
    if (found === undefined) throw new Error(`no packet "${text}" within ${ARRIVES_MS_MAX} ms`)
    return found
  }

  /** The packet of that text if it comes soon. */
  glimpse(text: string): Promise<Received | undefined> {
    return this.until(() => this.received.get(text), LOST_MS)
  }

  close(): void {
    this.child.kill("SIGKILL")
  }

  private order(order: object): void {
    this.child.stdin!.write(`${JSON.stringify(order)}\n`)
  }

  private note(said: Partial<Received> & { opened?: boolean; ready?: boolean; error?: string }): void {
    if (said.ready === true) this.isReady = true
    else if (said.opened === true) this.opened.add(said.port!)
    else if (said.text !== undefined) this.received.set(said.text, said as Received)
    for (const look of [...this.watchers]) look()
  }

  private until<T>(find: () => T | undefined, ms: number): Promise<T | undefined> {
    return new Promise((resolve) => {
      const end = (value: T | undefined): void => {
        clearTimeout(timer)
        this.watchers.delete(look)
        resolve(value)
      }
      const look = (): void => {
        const found = find()
        if (found !== undefined) end(found)
      }
      const timer = setTimeout(() => end(undefined), ms)
      this.watchers.add(look)
      look()
    })
  }
}
