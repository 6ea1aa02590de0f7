/** `horizon lab guest`: runs a command wholly inside a guest with a kernel of its own, as if it ran here. */

import { constants } from "node:os"
import { resolve } from "node:path"
import type { Readable, Writable } from "node:stream"
import type { Guest, GuestOptions } from "@horizon/bench/lab/uml/guest.ts"
import type { GuestProcess, TerminalSize } from "@horizon/bench/lab/uml/guest-line.ts"
import { EXIT } from "@horizon/core/measure/run.ts"
import * as Effect from "effect/Effect"
import { type CommandFailure, type CommandSpec, failure, type Input } from "./command.ts"
import { loading } from "./scenario.ts"

/** What the command needs of bench/lab/uml/guest.ts. */
export interface Guests {
  readonly bootGuest: (options: GuestOptions) => Promise<Guest>
}

/** Where the command runs from: the process's own streams and environment, or a test's. */
export interface Surroundings {
  readonly stdin: Readable & { readonly isTTY?: boolean; readonly setRawMode?: (raw: boolean) => unknown }
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly rows?: number; readonly columns?: number }
  readonly stderr: Writable
  readonly folder: string
  readonly environment: Readonly<Record<string, string | undefined>>
}

const MEMORY_MIB_DEFAULT = 1024
/** Less does not boot; more than this is hardly meant. */
const MEMORY_MIB_MIN = 64
const MEMORY_MIB_MAX = 65_536
/** What cannot load itself when it is first used: the device of TUN. */
const MODULES = ["tun"]
/** How long a command may take to end when it is asked to, ms. */
const STOP_MS = 2_000

/** The command, with the guests that `load` gives when it runs. */
export const guestCommand = (
  load: () => Promise<Guests>,
  surroundings: () => Surroundings = ofThisProcess
): CommandSpec => ({
  name: "guest",
  summary: "Run a command in a kernel of its own, with netem, Open vSwitch and a network that is its alone",
  description: [
    "Boots a guest (Debian's user-mode-linux, a kernel that runs as a process; under a second), runs the command in it as root and ends it.",
    "Input, output, errors and exit code are the command's own; on a terminal it gets a terminal.",
    "The guest sees all files of this machine, the current folder among them. What it writes, anywhere, stays in its memory and is gone with it,",
    "but for the folder of --out. Its network, its settings and its mounts are its own, and it reaches no other network.\n\n" +
      `Exit codes: the command's; ${EXIT.skipped} if this machine lacks root or the package user-mode-linux, ${EXIT.harness} if the guest failed.`
  ].join(" "),
  argument: {
    name: "COMMAND",
    description: "The command and its arguments, after '--' so that its flags are its own",
    required: true,
    many: true
  },
  flags: [
    {
      name: "memory",
      form: "text",
      metavar: "MIB",
      description: `Memory of the guest, files that it writes included [default: ${MEMORY_MIB_DEFAULT}]`
    },
    {
      name: "out",
      form: "text",
      metavar: "DIR",
      description: "An existing folder of this machine that the command may write to, under the same path"
    }
  ],
  examples: [
    { command: "horizon lab guest -- tc qdisc add dev lo root netem delay 10ms", description: "Is there a netem?" },
    { command: "horizon lab guest -- mn --test pingall", description: "Mininet on a machine of its own" },
    { command: "horizon lab guest -- bash", description: "Look around; 'exit' ends it" }
  ],
  run: (input) =>
    Effect.gen(function* () {
      const memoryMiB = yield* parseMemory(input)
      const { bootGuest } = yield* loading(load)
      const around = surroundings()
      const { out } = input.text
      const exchange = out === undefined ? undefined : resolve(around.folder, out)
      const boot = (): Promise<Guest> =>
        bootGuest({ memoryMiB, modules: MODULES, ...(exchange === undefined ? {} : { exchange }) })
      return yield* runInGuest(boot, input.arguments, around)
    })
})

const parseMemory = (input: Input): Effect.Effect<number, CommandFailure> => {
  const text = input.text["memory"] ?? `${MEMORY_MIB_DEFAULT}`
  const memoryMiB = Number(text)
  return /^\d+$/.test(text) && memoryMiB >= MEMORY_MIB_MIN && memoryMiB <= MEMORY_MIB_MAX
    ? Effect.succeed(memoryMiB)
    : Effect.fail(
        failure(
          EXIT.usage,
          `horizon: --memory ${JSON.stringify(text)} is not a number of MiB from ${MEMORY_MIB_MIN} to ${MEMORY_MIB_MAX}`
        )
      )
}

/** Interrupted, it asks the command to end, and then ends the guest with whatever is left in it. */
const runInGuest = (
  boot: () => Promise<Guest>,
  command: ReadonlyArray<string>,
  surroundings: Surroundings
): Effect.Effect<number, CommandFailure> =>
  Effect.suspend(() => {
    const stop = new AbortController()
    const settled = boot().then((guest) => runThere(guest, command, surroundings, stop.signal))
    return Effect.tryPromise({ try: () => settled, catch: guestFailure }).pipe(
      Effect.onInterrupt(() =>
        Effect.suspend(() => {
          stop.abort()
          return Effect.exit(Effect.tryPromise(() => settled))
        })
      )
    )
  })

const runThere = async (
  guest: Guest,
  [command, ...args]: ReadonlyArray<string>,
  surroundings: Surroundings,
  stop: AbortSignal
): Promise<number> => {
  const { environment, folder, stderr, stdin, stdout } = surroundings
  const onTerminal = stdin.isTTY === true && stdout.isTTY === true
  const variables = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined))
  try {
    await guest.must("ip", ["link", "set", "dev", "lo", "up"])
    if (stop.aborted) return EXIT.interrupted
    const process = guest.start(
      {
        command,
        args,
        folder,
        environment: variables as Record<string, string>,
        ...(onTerminal ? { terminal: sizeOf(stdout) } : {})
      },
      { out: outlet(stdout), err: outlet(stderr) }
    )
    const detach = [passInput(stdin, process), onTerminal ? useTerminal(surroundings, process) : () => {}]
    const late = stopOn(stop, process)
    try {
      return await process.exit
    } finally {
      late()
      for (const end of detach) end()
    }
  } finally {
    await guest.close()
  }
}

/** The command's input is ours. What it has not read when it ends stays unread. */
const passInput = (stdin: Surroundings["stdin"], process: GuestProcess): (() => void) => {
  const onData = (bytes: Buffer): void => {
    stdin.pause()
    void process.write(bytes).then(() => stdin.resume())
  }
  stdin.on("data", onData)
  stdin.once("end", process.end)
  return () => {
    stdin.off("data", onData)
    stdin.off("end", process.end)
    stdin.pause()
  }
}

/** Every key is the command's, Ctrl-C among them, and it learns of the terminal's size. */
const useTerminal = ({ stdin, stdout }: Surroundings, process: GuestProcess): (() => void) => {
  const onResize = (): void => process.resize(sizeOf(stdout))
  stdin.setRawMode?.(true)
  stdout.on("resize", onResize)
  return () => {
    stdout.off("resize", onResize)
    stdin.setRawMode?.(false)
  }
}

/** Asks the command to end when we are, and insists after a while. */
const stopOn = (stop: AbortSignal, process: GuestProcess): (() => void) => {
  let late: NodeJS.Timeout | undefined
  const onStop = (): void => {
    process.signal(constants.signals.SIGTERM)
    late = setTimeout(() => process.signal(constants.signals.SIGKILL), STOP_MS)
  }
  stop.addEventListener("abort", onStop)
  if (stop.aborted) onStop()
  return () => {
    clearTimeout(late)
    stop.removeEventListener("abort", onStop)
  }
}

/** Writes to a stream; what it does not take at once holds the guest up, as a pipe would. */
const outlet = (stream: Writable): ((bytes: Buffer) => Promise<void> | void) => {
  let full: Promise<void> | undefined
  const emptied = (): Promise<void> =>
    new Promise((resolve) => {
      const go = (): void => {
        stream.off("drain", go)
        stream.off("close", go)
        full = undefined
        resolve()
      }
      stream.on("drain", go)
      stream.on("close", go)
    })
  return (bytes) => {
    if (stream.write(bytes) || stream.destroyed) return
    full ??= emptied()
    return full
  }
}

const sizeOf = ({ columns, rows }: Surroundings["stdout"]): TerminalSize => ({
  rows: rows ?? 24,
  columns: columns ?? 80
})

const guestFailure = (cause: unknown): CommandFailure => {
  const { message, reason } = cause as Error & { readonly reason?: string }
  return failure(reason === "missing" ? EXIT.skipped : EXIT.harness, `horizon: ${message}`)
}

const ofThisProcess = (): Surroundings => ({
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  folder: process.cwd(),
  environment: process.env
})
