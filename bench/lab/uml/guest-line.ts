/**
 * The serial line to a guest, from the host's side: commands run over there, their streams and exit codes come back. The other end is
 * guest-init.pl. Frames, both ways: [u32 length of the payload][u8 kind][u16 process][payload], big-endian.
 *
 * A command's input has a window, so that a command which does not read cannot make the guest deaf for all others. Its output has
 * none: who does not take it in time holds up the whole line.
 */

import type { Duplex } from "node:stream"
import { assert } from "@horizon/core/assert.ts"
import { LabError } from "../lab-error.ts"

export interface GuestCommand {
  readonly command: string
  readonly args: ReadonlyArray<string>
  /** Where it runs; `/` if left out. */
  readonly folder?: string
  /** All of its variables; a plain PATH if left out. */
  readonly environment?: Readonly<Record<string, string>>
  /** Runs it on a terminal of this size: its output and errors are one stream then. */
  readonly terminal?: TerminalSize
}

export interface TerminalSize {
  readonly rows: number
  readonly columns: number
}

/** Takes a command's output; what comes next waits for a promise. */
export interface GuestOutput {
  readonly out: (bytes: Buffer) => Promise<void> | void
  readonly err: (bytes: Buffer) => Promise<void> | void
}

/** A command at work in the guest. */
export interface GuestProcess {
  /** Gives it input; resolves when it may get more, or has ended. */
  readonly write: (bytes: Uint8Array) => Promise<void>
  /** There is no more input. */
  readonly end: () => void
  /** Sends a signal, by number, to it and its children. */
  readonly signal: (number: number) => void
  readonly resize: (size: TerminalSize) => void
  /** Its exit code, 128 and the number of the signal that ended it, or 127 if there is no such command; rejects if the guest ends first. */
  readonly exit: Promise<number>
}

/** Kinds of frames to the guest. */
const NOTHING = 0
const RUN = 1
const INPUT = 2
const INPUT_END = 3
const SIGNAL = 4
const SIZE = 5
const HALT = 6

/** Kinds of frames from the guest. */
const READY = 65
const OUT = 66
const ERR = 67
const EXIT = 68
const TAKEN = 69
const HEARD = 70

const HEADER_BYTES = 7
const FRAME_BYTES_MAX = 1 << 20
/** Input on its way to one command: what its pipe and the line's buffers hold together is about as much. */
const WINDOW_BYTES = 65_536
const INPUT_FRAME_BYTES = 16_384
/**
 * What may be on its way to the guest. Its terminal layer holds 4,096 bytes, and when it has to stop a serial line of user-mode Linux
 * it may never start it again.
 */
const LINE_BYTES = 2_048
/**
 * User-mode Linux can lose the sign that bytes have come, when much else comes at the same time; more bytes are another sign. So while
 * some are unheard, an empty frame follows them now and then: all of them fit into the room that is left.
 */
const NUDGE_MS = 20
const NUDGES_MAX = 200
const PROCESSES_MAX = 65_535
const PLAIN_ENVIRONMENT = {
  HOME: "/root",
  LC_ALL: "C",
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  TERM: "dumb"
}

interface Running {
  readonly output: GuestOutput
  readonly ended: (code: number) => void
  readonly failed: (error: LabError) => void
  /** Input that the command has not taken yet. */
  outstanding: number
  /** Called when there is room in the window. */
  room: (() => void) | undefined
  /** Input and its end go in the order in which they were given. */
  turn: Promise<void>
}

export class GuestLine {
  /** Resolves with the release of the guest's kernel. */
  readonly ready: Promise<string>
  private readonly stream: Duplex
  private readonly running = new Map<number, Running>()
  /** Frames that wait for the line, the first perhaps in part. */
  private readonly waiting: Array<Buffer> = []
  /** Bytes that the guest has not heard yet. */
  private unheard = 0
  private nudge: NodeJS.Timeout | undefined
  private nudges = 0
  private received: Buffer = Buffer.alloc(0)
  private lastNumber = 0
  private broken: LabError | undefined
  private becameReady: (release: string) => void = () => {}
  private becameBroken: (error: LabError) => void = () => {}

  constructor(stream: Duplex) {
    this.stream = stream
    this.ready = new Promise((resolve, reject) => {
      this.becameReady = resolve
      this.becameBroken = reject
    })
    // Who waits for `ready` sees it; nobody has to.
    this.ready.catch(() => {})
    stream.on("data", (bytes: Buffer) => this.receive(bytes))
    // A guest without its line ends, and whoever sees that says why.
    stream.on("error", () => {})
  }

  start(command: GuestCommand, output: GuestOutput): GuestProcess {
    const number = this.freeNumber()
    const exit = new Promise<number>((ended, failed) => {
      if (this.broken !== undefined) failed(this.broken)
      else this.running.set(number, { output, ended, failed, outstanding: 0, room: undefined, turn: Promise.resolve() })
    })
    exit.catch(() => {})
    this.put(RUN, number, encodeCommand(command))
    return {
      exit,
      write: (bytes) => this.inTurn(number, () => this.write(number, bytes)),
      end: () => void this.inTurn(number, async () => this.put(INPUT_END, number)),
      signal: (signal) => this.put(SIGNAL, number, Buffer.of(signal)),
      resize: (size) => this.put(SIZE, number, encodeSize(size))
    }
  }

  /** Asks the guest to end. */
  halt(): void {
    this.put(HALT, 0)
  }

  /** The guest has ended: nothing that runs there will come back. */
  fail(error: LabError): void {
    if (this.broken !== undefined) return
    this.broken = error
    this.stopNudging()
    this.becameBroken(error)
    for (const { failed, room } of this.running.values()) {
      failed(error)
      room?.()
    }
    this.running.clear()
  }

  private inTurn(number: number, work: () => Promise<void>): Promise<void> {
    const running = this.running.get(number)
    if (running === undefined) return Promise.resolve()
    running.turn = running.turn.then(work)
    return running.turn
  }

  private async write(number: number, bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length; from += INPUT_FRAME_BYTES) {
      const running = this.running.get(number)
      if (running === undefined) return
      const part = bytes.subarray(from, from + INPUT_FRAME_BYTES)
      running.outstanding += part.length
      this.put(INPUT, number, part)
      if (running.outstanding >= WINDOW_BYTES) await new Promise<void>((room) => void (running.room = room))
    }
  }

  private freeNumber(): number {
    assert(this.running.size < PROCESSES_MAX, "a guest runs fewer commands at once than it has numbers")
    do this.lastNumber = (this.lastNumber + 1) % (PROCESSES_MAX + 1)
    while (this.running.has(this.lastNumber))
    return this.lastNumber
  }

  private put(kind: number, number: number, payload: Uint8Array = Buffer.alloc(0)): void {
    if (this.broken !== undefined) return
    this.waiting.push(encodeFrame(kind, number, payload))
    this.transmit()
  }

  private transmit(): void {
    while (this.unheard < LINE_BYTES) {
      const frame = this.waiting.shift()
      if (frame === undefined || this.stream.destroyed) return
      const part = frame.subarray(0, LINE_BYTES - this.unheard)
      if (part.length < frame.length) this.waiting.unshift(frame.subarray(part.length))
      this.send(part)
    }
  }

  private send(bytes: Buffer): void {
    this.unheard += bytes.length
    this.stream.write(bytes)
    this.nudge ??= setInterval(() => this.nudgeGuest(), NUDGE_MS)
  }

  private nudgeGuest(): void {
    if (this.unheard > 0 && this.nudges < NUDGES_MAX && !this.stream.destroyed) {
      this.nudges++
      // In the middle of a frame only its next byte may follow.
      const next = this.waiting.shift()
      if (next !== undefined && next.length > 1) this.waiting.unshift(next.subarray(1))
      this.send(next?.subarray(0, 1) ?? encodeFrame(NOTHING, 0, Buffer.alloc(0)))
    } else this.stopNudging()
  }

  private stopNudging(): void {
    clearInterval(this.nudge)
    this.nudge = undefined
    this.nudges = 0
  }

  private receive(bytes: Buffer): void {
    this.received = this.received.length === 0 ? bytes : Buffer.concat([this.received, bytes])
    let at = 0
    while (this.received.length - at >= HEADER_BYTES) {
      const end = at + HEADER_BYTES + this.received.readUInt32BE(at)
      if (end - at > FRAME_BYTES_MAX) {
        this.fail(new LabError("failed", "the line to the guest carries what is not a frame"))
        this.stream.destroy()
        return
      }
      if (this.received.length < end) break
      const payload = this.received.subarray(at + HEADER_BYTES, end)
      this.handle(this.received.readUInt8(at + 4), this.received.readUInt16BE(at + 5), payload)
      at = end
    }
    this.received = this.received.subarray(at)
  }

  private handle(kind: number, number: number, payload: Buffer): void {
    if (kind === READY) return this.becameReady(payload.toString())
    if (kind === HEARD) {
      this.unheard -= payload.readUInt32BE(0)
      if (this.unheard === 0) this.stopNudging()
      return this.transmit()
    }
    const running = this.running.get(number)
    if (running === undefined) return
    if (kind === OUT) this.holdFor(running.output.out(payload))
    else if (kind === ERR) this.holdFor(running.output.err(payload))
    else if (kind === TAKEN) {
      running.outstanding -= payload.readUInt32BE(0)
      if (running.outstanding < WINDOW_BYTES) running.room?.()
    } else if (kind === EXIT) {
      this.running.delete(number)
      running.room?.()
      running.ended(payload.readUInt8(0))
    }
  }

  private holdFor(taken: Promise<void> | void): void {
    if (taken === undefined) return
    this.stream.pause()
    const resume = (): void => void this.stream.resume()
    taken.then(resume, resume)
  }
}

const encodeFrame = (kind: number, number: number, payload: Uint8Array): Buffer => {
  const frame = Buffer.alloc(HEADER_BYTES + payload.length)
  frame.writeUInt32BE(payload.length, 0)
  frame.writeUInt8(kind, 4)
  frame.writeUInt16BE(number, 5)
  frame.set(payload, HEADER_BYTES)
  return frame
}

/** Strings, each with a zero byte behind it: the terminal's size, folder, count of variables, variables, command, arguments. */
const encodeCommand = (command: GuestCommand): Buffer => {
  const { terminal } = command
  const variables = Object.entries(command.environment ?? PLAIN_ENVIRONMENT).map(([name, value]) => `${name}=${value}`)
  const strings = [
    terminal === undefined ? "" : `${terminal.rows} ${terminal.columns}`,
    command.folder ?? "/",
    `${variables.length}`,
    ...variables,
    command.command,
    ...command.args
  ]
  const bytes = Buffer.from(strings.map((string) => `${string}\0`).join(""))
  if (strings.some((string) => string.includes("\0")) || bytes.length > FRAME_BYTES_MAX - HEADER_BYTES)
    throw new LabError(
      "failed",
      `the guest cannot be told to run ${command.command}: its arguments are too long or hold a zero byte`
    )
  return bytes
}

const encodeSize = ({ columns, rows }: TerminalSize): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt16BE(rows, 0)
  bytes.writeUInt16BE(columns, 2)
  return bytes
}
