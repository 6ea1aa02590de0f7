/**
 * The guard of the simulated world: while it is up, everything that would let real time, real randomness, real I/O or the
 * JavaScript event loop leak into a run fails closed, with the place that tried.
 *
 * Functions on globals and on Node's built-in modules throw. Promises cannot be refused by replacing a global (async functions
 * make them without asking), so V8's promise hook notes where one was made and the kernel stops at the next step.
 */

import * as childProcess from "node:child_process"
import * as crypto from "node:crypto"
import * as dgram from "node:dgram"
import * as dns from "node:dns"
import * as fs from "node:fs"
import * as http from "node:http"
import { syncBuiltinESMExports } from "node:module"
import * as net from "node:net"
import { promiseHooks } from "node:v8"
import * as workers from "node:worker_threads"

/** Something in the simulated world reached for the real one. */
export class WorldLeak extends Error {
  override readonly name = "WorldLeak"
}

type Patch = { readonly target: Record<string, unknown>; readonly key: string; readonly value: unknown }

/** Functions refused by name, per object. */
const REFUSED: ReadonlyArray<readonly [string, object, ReadonlyArray<string>]> = [
  ["", globalThis, ["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "fetch"]],
  ["Math", Math, ["random"]],
  ["performance", performance, ["now"]],
  ["process", process, ["hrtime", "nextTick", "uptime", "cpuUsage"]],
  ["crypto", globalThis.crypto, ["getRandomValues", "randomUUID"]],
  ["node:crypto", builtin(crypto), ["randomBytes", "randomFillSync", "randomFill", "randomInt", "randomUUID"]],
  [
    "node:fs",
    builtin(fs),
    [
      "readFileSync",
      "writeFileSync",
      "openSync",
      "readFile",
      "writeFile",
      "open",
      "appendFileSync",
      "mkdirSync",
      "renameSync",
      "statSync",
      "createReadStream",
      "createWriteStream"
    ]
  ],
  ["node:net", builtin(net), ["connect", "createConnection", "createServer"]],
  ["node:dgram", builtin(dgram), ["createSocket"]],
  ["node:dns", builtin(dns), ["lookup", "resolve"]],
  ["node:http", builtin(http), ["request", "get", "createServer"]],
  [
    "node:child_process",
    builtin(childProcess),
    ["spawn", "exec", "execFile", "fork", "spawnSync", "execSync", "execFileSync"]
  ],
  ["node:worker_threads", builtin(workers), ["Worker"]]
]

/** The mutable CommonJS side of a built-in module; `syncBuiltinESMExports` carries changes over to imports. */
function builtin(module: object): object {
  return (module as { default: object }).default
}

/** `Date` that refuses to tell the time but still formats a given instant. */
const makeTimelessDate = (RealDate: DateConstructor, refusal: (name: string) => () => never): DateConstructor => {
  const now = refusal("Date.now")
  const TimelessDate = function (this: unknown, ...args: ReadonlyArray<unknown>): unknown {
    if (args.length === 0) return refusal("new Date()")()
    return new (RealDate as unknown as new (...rest: ReadonlyArray<unknown>) => Date)(...args)
  }
  return Object.assign(TimelessDate, {
    now,
    UTC: RealDate.UTC,
    parse: RealDate.parse,
    prototype: RealDate.prototype
  }) as unknown as DateConstructor
}

export class Guard {
  /** The first leak, if any: also one whose exception was swallowed, or that could not throw where it happened (a promise). */
  leak: WorldLeak | undefined
  private readonly patches: ReadonlyArray<Patch>

  constructor() {
    const patches: Array<Patch> = []
    for (const [name, target, keys] of REFUSED) {
      for (const key of keys) {
        patches.push({
          target: target as Record<string, unknown>,
          key,
          value: this.refusal(name === "" ? key : `${name}.${key}`)
        })
      }
    }
    patches.push({
      target: globalThis as never,
      key: "Date",
      value: makeTimelessDate(Date, (name) => this.refusal(name))
    })
    this.patches = patches
  }

  private refusal(name: string): (...args: ReadonlyArray<unknown>) => never {
    return (...args) => {
      if (name === "crypto.getRandomValues" && isBlinding(args[0])) return args[0] as never
      if (name === "Math.random" && isIdentityHash()) return 0 as never
      const leak = new WorldLeak(`${name} was called in the simulated world at ${callSite(new Error().stack)}`)
      this.leak ??= leak
      throw leak
    }
  }

  /** Runs `work`, synchronously, with the real world out of reach. */
  during<A>(work: () => A): A {
    const saved = this.patches.map(({ target, key }) => Object.getOwnPropertyDescriptor(target, key))
    const stopHook = promiseHooks.onInit(() => {
      this.leak ??= new WorldLeak(
        `a promise was made in the simulated world at ${callSite(new Error().stack)}; only the kernel may resume fibers`
      )
    })
    try {
      for (const { target, key, value } of this.patches) {
        Object.defineProperty(target, key, { value, configurable: true, writable: true })
      }
      syncBuiltinESMExports()
      return work()
    } finally {
      this.patches.forEach(({ target, key }, index) => {
        const descriptor = saved[index]
        if (descriptor === undefined) delete target[key]
        else Object.defineProperty(target, key, descriptor)
      })
      syncBuiltinESMExports()
      stopHook()
    }
  }
}

/**
 * noble blinds secret scalars with random multiples of the group order, which hides them from side channels and changes no result.
 * Inside the simulated world that one caller gets zeros; everybody else who asks the platform for random bytes is refused.
 */
const isBlinding = (bytes: unknown): boolean => {
  if (!(bytes instanceof Uint8Array) || !new Error().stack?.includes(".mulCTBlinded (")) return false
  bytes.fill(0)
  return true
}

/**
 * Effect gives functions and other objects without a hash of their own a random one. Zero for all of them is as good for look-ups, and
 * makes the order of hash collections that of insertion instead of chance.
 */
const isIdentityHash = (): boolean => new Error().stack?.includes("/effect/dist/Hash.js") === true

/** The first frame outside this file and Node's own, as `file:line:column`, with the frame behind it for context. */
const callSite = (stack: string | undefined): string => {
  const frames = (stack ?? "")
    .split("\n")
    .slice(1)
    .map((line) => line.trim().replace(/^at /, ""))
    .filter((line) => !line.includes("bench/world/guard.ts") && !line.includes("(node:") && !line.startsWith("node:"))
  return frames.slice(0, 2).join(", called by ") || "an unknown place"
}
