/** From the bytes of a trace stream (nodes/real/trace.ts) back to its lines. */

import { StringDecoder } from "node:string_decoder"
import type { TraceControlLine, TraceEventLine, TraceLine } from "@horizon/real/trace.ts"

/** Longest line, characters: a stream that has none is broken. */
const LINE_CHARACTERS_MAX = 1 << 20

export interface TraceLinesOptions {
  readonly onEvent: (line: TraceEventLine) => void
  readonly onControl: (line: TraceControlLine) => void
  /** The stream is not what it should be. */
  readonly onBroken: (sentence: string) => void
}

export class TraceLines {
  private readonly options: TraceLinesOptions
  private readonly decoder = new StringDecoder("utf8")
  private rest = ""
  private broken = false

  constructor(options: TraceLinesOptions) {
    this.options = options
  }

  readonly take = (chunk: Buffer): void => {
    if (this.broken) return
    const lines = (this.rest + this.decoder.write(chunk)).split("\n")
    this.rest = lines.pop() ?? ""
    for (const line of lines) this.line(line)
    if (this.rest.length > LINE_CHARACTERS_MAX) this.refuse("a line without an end")
  }

  private line(text: string): void {
    if (this.broken || text === "") return
    let line: TraceLine
    try {
      line = JSON.parse(text)
    } catch {
      return this.refuse(text.slice(0, 100))
    }
    if (typeof line !== "object" || line === null || typeof line.monotonicNs !== "number") {
      return this.refuse(text.slice(0, 100))
    }
    if ("control" in line) this.options.onControl(line)
    else this.options.onEvent(line)
  }

  private refuse(what: string): void {
    this.broken = true
    this.options.onBroken(`the trace stream holds what is no line of it: ${what}`)
  }
}
