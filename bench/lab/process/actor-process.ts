/** The process of all actors on one host, as the world holds it. */

import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { TraceEventLine } from "@horizon/real/trace.ts"
import { TRACE_FD_VARIABLE } from "@horizon/real/trace.ts"
import type { ActorWord } from "./actor-words.ts"
import { LabProcess } from "./lab-process.ts"
import { TraceLines } from "./trace-lines.ts"

const MAIN = fileURLToPath(new URL("./actor-main.ts", import.meta.url))
/** Time that actors have to end, ms. */
const STOP_GRACE_MS = 2_000

export interface ActorProcessOptions {
  readonly host: string
  /** Prefix of commands that run on the host. */
  readonly enter: ReadonlyArray<string>
  readonly onEvent: (line: TraceEventLine) => void
  /** An actor failed, the process ended by itself, or its trace is not whole. */
  readonly onFailure: (sentence: string) => void
}

export class ActorProcess {
  readonly host: string
  /** Resolves when actors can be started; rejects if that will never be. */
  readonly ready: Promise<void>
  private readonly life: LabProcess
  private closing = false

  constructor(options: ActorProcessOptions) {
    const { enter, host, onEvent, onFailure } = options
    this.host = host
    let serve: () => void = () => {}
    const serving = new Promise<void>((resolve) => {
      serve = resolve
    })
    const lines = new TraceLines({
      onEvent,
      onControl: ({ control, info, node }) => {
        if (control === "ready") serve()
        else if (control === "failed") onFailure(`actor ${node} failed: ${info["cause"]}`)
        else onFailure(`the actors on ${host} were not heard: ${info["events"]} events of their trace are missing`)
      },
      onBroken: (sentence) => onFailure(`the actors on ${host}: ${sentence}`)
    })
    this.life = new LabProcess({
      command: [...enter, process.execPath, MAIN],
      // Compiled modules are kept between runs, where the `horizon` command keeps its own.
      environment: { [TRACE_FD_VARIABLE]: "3", NODE_COMPILE_CACHE: join(tmpdir(), "node-compile-cache") },
      input: true,
      onTrace: lines.take
    })
    const ended = this.life.exited.then(() => {
      const sentence = `the actors on ${host} have ended: ${this.life.lastWords()}`
      if (!this.closing) onFailure(sentence)
      throw new Error(sentence)
    })
    this.ready = Promise.race([serving, ended])
    // Who does not wait for it has heard of it by `onFailure`.
    this.ready.catch(() => {})
  }

  say(word: ActorWord): void {
    if (this.life.running) this.life.input.write(`${JSON.stringify(word)}\n`)
  }

  /** Ends all actors; resolves when everything that they said has been heard. */
  async stop(): Promise<void> {
    this.closing = true
    await this.life.stop(STOP_GRACE_MS)
  }

  /** Ends the process at once. */
  kill(): void {
    this.closing = true
    this.life.signal("SIGKILL")
  }
}
