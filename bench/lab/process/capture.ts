/** Captures with tcpdump what passes the interface of a host, and lets a WireWatch judge it while it passes. */

import { LabProcess } from "./lab-process.ts"
import { PcapReader } from "./pcap.ts"
import { type WireFinding, WireWatch } from "./wire-watch.ts"

export interface CaptureOptions {
  readonly host: string
  /** Address of the host's interface, and its name there. */
  readonly address: string
  readonly device: string
  /** Prefix of commands that run on the host. */
  readonly enter: ReadonlyArray<string>
  readonly onFinding: (finding: WireFinding) => void
}

/** Wait until tcpdump listens, and until it has ended, ms. */
const START_MS = 5_000
const STOP_MS = 2_000
/** The kernel hands frames over in blocks, a block that is not full after a second; handing over each one would lose more. */
const BLOCK_MS = 1_100
/** The capture's own buffer in the kernel, KiB. */
const BUFFER_KIB = 8_192

export class Capture {
  readonly watch: WireWatch
  /** Resolves when everything that passes from now on is seen; rejects with what is missing. */
  readonly listening: Promise<void>
  /** Why it does not watch, or does not any more; `undefined` while it does. */
  broken: string | undefined
  private readonly life: LabProcess
  private closing = false

  constructor(options: CaptureOptions) {
    const { address, device, enter, host } = options
    this.watch = new WireWatch(host, address, options.onFinding)
    const reader = new PcapReader((frame) => this.watch.take(frame))
    let heard: () => void = () => {}
    const listens = new Promise<void>((resolve) => {
      heard = resolve
    })
    this.life = new LabProcess({
      command: [...enter, "tcpdump", ...flags(device)],
      onOutput: (chunk) => this.read(reader, chunk),
      onError: () => {
        if (/listening on/.test(this.life.stderr)) heard()
      }
    })
    void this.life.exited.then(() => {
      if (!this.closing) this.broken ??= `tcpdump on ${host} has ended: ${this.life.lastWords()}`
    })
    this.listening = this.within(host, listens)
    this.listening.catch(() => {})
  }

  /** Packets that passed and were not seen. Known after `stop`. */
  missed(): number {
    return Number(/(\d+) packets? dropped by kernel/.exec(this.life.stderr)?.[1] ?? 0)
  }

  /** Ends the capture; what has passed before is judged by then, even if that came just before. */
  async stop(): Promise<void> {
    if (this.broken === undefined && this.life.running) await new Promise((resolve) => setTimeout(resolve, BLOCK_MS))
    this.closing = true
    await this.life.stop(STOP_MS)
  }

  kill(): void {
    this.closing = true
    this.life.signal("SIGKILL")
  }

  private read(reader: PcapReader, chunk: Buffer): void {
    if (this.broken !== undefined) return
    try {
      reader.take(chunk)
    } catch (cause) {
      this.broken = (cause as Error).message
      this.life.signal("SIGKILL")
    }
  }

  private within(host: string, listens: Promise<void>): Promise<void> {
    const ended = this.life.exited.then(() => {
      throw new Error(`tcpdump on ${host} cannot capture: ${this.life.lastWords()}`)
    })
    const late = new Promise<never>((_, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`tcpdump on ${host} has not begun within ${START_MS} ms`)),
        START_MS
      )
      void listens.then(() => clearTimeout(timer))
      void this.life.exited.then(() => clearTimeout(timer))
    })
    return Promise.race([listens, ended, late])
  }
}

/** Everything but address resolution, whole frames, to standard output. */
const flags = (device: string): ReadonlyArray<string> => [
  "-n",
  "-s",
  "0",
  "-B",
  String(BUFFER_KIB),
  "-i",
  device,
  "-w",
  "-",
  "ip"
]
