/** What `horizon up` does: makes the keys, starts the nodes one after the other, says where they are, and keeps them running. */

import { randomBytes } from "node:crypto"
import { createSocket } from "node:dgram"
import { mkdirSync } from "node:fs"
import { createServer } from "node:net"
import { join, resolve } from "node:path"
import { apiKey } from "@horizon/core/api/api-key.ts"
import { assert } from "@horizon/core/assert.ts"
import { EXIT } from "@horizon/core/measure/run.ts"
import { configWith } from "@horizon/core/port/config.ts"
import { Keys, type KeysError } from "@horizon/core/port/keys.ts"
import { parseAddress } from "@horizon/core/wire/address.ts"
import { layerKeys } from "@horizon/real/keys.ts"
import { Context, Effect, Layer, Option, type Scope } from "effect"
import { type CommandFailure, failure, type Input } from "./command.ts"
import type { NodeName } from "./node.ts"
import { hostNode, type NodeFailure, nodeFailure } from "./node-program.ts"
import { logOptions, settingsOf } from "./node-settings.ts"
import { paint, type Screen, table } from "./screen.ts"
import { type ReadyInfo, supervise } from "./supervise.ts"

/** Who the first personal key belongs to. */
const FIRST_USER = "owner"
const FIRST_TENANT = "home"

interface Options {
  readonly data: string
  readonly address: string
  /** As given; `undefined` = the node's usual one, or any free one. */
  readonly ports: Readonly<Record<"broker" | "gateway" | "game", number | undefined>>
  readonly newKeys: boolean
  readonly logLevel: string
}

/** Runs until it is interrupted. */
export const upProgram = (input: Input, screen: Screen): Effect.Effect<never, CommandFailure> =>
  Effect.gen(function* () {
    const options = yield* parseOptions(input)
    const secrets = yield* prepareSecrets(options)
    const { start } = nodes(options, screen)
    const broker = yield* start("broker", {
      listenAddress: options.address,
      port: yield* tcpPort(options),
      bootstrapAdminToken: secrets.adminToken,
      bootstrapRegistrationKeys: [secrets.registrationKey],
      bootstrapPersonalKeys:
        secrets.personalKey === undefined ? [] : [`${FIRST_USER}@${FIRST_TENANT}=${secrets.personalKey}`]
    })
    const brokerUrl = `http://${hostOf(broker, options.address)}`
    const link = { brokerUrl, brokerKey: String(broker["brokerKey"] ?? ""), registrationKey: secrets.registrationKey }
    const listen = { listenAddress: options.address, region: "local" }
    // A scope of their own, so that these two say goodbye to the broker before it stops.
    return yield* Effect.scoped(
      Effect.gen(function* () {
        const gateway = yield* start("gateway", { ...link, ...listen, port: yield* udpPort("gateway", options) })
        const game = yield* start("game", { ...link, ...listen, port: yield* udpPort("game", options) })
        yield* secrets.remember
        announce({ options, brokerUrl, gateway, game, secrets }, screen)
        return yield* Effect.never
      })
    )
  }).pipe(Effect.scoped)

/** How this `up` starts a node: under supervision, with its data in a directory of its own. */
const nodes = (options: Options, screen: Screen) => ({
  start: (
    name: NodeName,
    change: Readonly<Record<string, unknown>>
  ): Effect.Effect<ReadyInfo, CommandFailure, Scope.Scope> =>
    Effect.gen(function* () {
      const settings = yield* Effect.promise(() => settingsOf(name))
      for (const key of Object.keys(change)) assert(Object.hasOwn(settings, key), `A ${name} has the setting ${key}.`)
      const config = configWith(settings, change)
      return yield* supervise<NodeFailure>({
        name,
        life: (onReady) =>
          hostNode(name, config, {
            dataDirectory: join(options.data, name),
            log: logOptions(name, options.logLevel, "auto", screen),
            onReady
          }),
        say: screen.err,
        nowMs: () => performance.now()
      }).pipe(Effect.mapError((error) => nodeFailure(name, error)))
    })
})

interface Secrets {
  /** Kept in the data directory: the broker takes it from its configuration at each start. */
  readonly adminToken: string
  readonly registrationKey: string
  /** Made now, to be shown once; the broker keeps a hash of it. */
  readonly personalKey: string | undefined
  /** When the first keys were shown, if that was earlier. */
  readonly shownBefore: string | undefined
  /** Notes that the keys have been shown: done when all nodes serve. */
  readonly remember: Effect.Effect<void, CommandFailure>
}

const prepareSecrets = (options: Options): Effect.Effect<Secrets, CommandFailure, Scope.Scope> =>
  Effect.gen(function* () {
    yield* Effect.sync(() => makePrivate(options.data))
    const keys = Context.get(yield* Layer.build(layerKeys(join(options.data, "up"))), Keys)
    const shown = yield* keys.read("shown")
    const fresh = options.newKeys || Option.isNone(shown)
    const adminToken = yield* kept(keys, "admin-token", "admin", options.newKeys)
    const registrationKey = yield* kept(keys, "registration-key", "registration", false)
    return {
      adminToken,
      registrationKey,
      personalKey: fresh ? apiKey("personal", randomBytes(32)) : undefined,
      shownBefore: fresh ? undefined : Buffer.from(Option.getOrThrow(shown)).toString("utf8"),
      remember: fresh
        ? keys.write("shown", Buffer.from(new Date().toISOString(), "utf8")).pipe(Effect.mapError(keysFailure))
        : Effect.void
    }
  }).pipe(Effect.mapError(keysFailure))

/** Makes the data directory for this user only; if it cannot be made, opening the keys in it says why. */
const makePrivate = (directory: string): void => {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  } catch {
    // See above.
  }
}

/** A secret that stays the same from start to start, unless a new one is asked for. */
const kept = (
  keys: Keys["Service"],
  name: string,
  kind: "admin" | "registration",
  renew: boolean
): Effect.Effect<string, KeysError> =>
  Effect.gen(function* () {
    const stored = yield* keys.read(name)
    if (!renew && Option.isSome(stored)) return Buffer.from(stored.value).toString("utf8")
    const made = apiKey(kind, randomBytes(32))
    yield* keys.write(name, Buffer.from(made, "utf8"))
    return made
  })

const keysFailure = (error: KeysError): CommandFailure => nodeFailure("up", error)

interface Running {
  readonly options: Options
  readonly brokerUrl: string
  readonly gateway: ReadyInfo
  readonly game: ReadyInfo
  readonly secrets: Secrets
}

const announce = ({ brokerUrl, gateway, game, options, secrets }: Running, screen: Screen): void => {
  const title = (text: string): string => paint(screen.colorOut, "bold", text)
  screen.out(title("Horizon is up."))
  screen.out("")
  const rows = [
    ["  broker", brokerUrl],
    ["  gateway", `${gateway["endpoint"]} (UDP), network ${gateway["network"]}`],
    ["  game server", `${game["endpoint"]} (UDP)`],
    ["  data", options.data]
  ]
  for (const line of table(rows)) screen.out(line)
  screen.out("")
  if (secrets.personalKey === undefined) {
    screen.out(`The administrator's token and the first personal key were shown on ${secrets.shownBefore}.`)
    screen.out("Lost? 'horizon up --new-keys' makes new ones and shows them.")
  } else {
    for (const line of table([
      ["  admin token", secrets.adminToken],
      ["  personal key", `${secrets.personalKey}  (${FIRST_USER}@${FIRST_TENANT})`]
    ]))
      screen.out(line)
    screen.out("")
    screen.out("Keep them: they are not shown again. A member joins with:")
    screen.out(
      `  ${paint(screen.colorOut, "cyan", `horizon client --broker-url ${brokerUrl} --personal-key ${secrets.personalKey}`)}`
    )
  }
  screen.out("")
  screen.out("Ctrl-C stops everything.")
}

/** Where the broker really listens: `address` of its ready message is `http://host:port` or `host:port`. */
const hostOf = (broker: ReadyInfo, fallback: string): string =>
  String(broker["address"] ?? fallback).replace(/^[a-z]+:\/\//, "")

const parseOptions = (input: Input): Effect.Effect<Options, CommandFailure> =>
  Effect.gen(function* () {
    const address = input.text["address"] ?? "127.0.0.1"
    // Servers tell members this address, so the unspecified one will not do.
    if (!parseAddress(address, new Uint32Array(4), 0) || /^[0.:]+$/.test(address)) {
      return yield* Effect.fail(
        usage(
          `--address must be the IPv4 or IPv6 address at which this machine is reached, not ${JSON.stringify(address)}`
        )
      )
    }
    const logLevel = input.text["log-level"] ?? "warn"
    if (!/^(trace|debug|info|warn|error)$/.test(logLevel)) {
      return yield* Effect.fail(
        usage(`--log-level must be trace, debug, info, warn or error, not ${JSON.stringify(logLevel)}`)
      )
    }
    return {
      data: resolve(input.text["data"] ?? "horizon-data"),
      address,
      ports: {
        broker: yield* parsePort(input, "broker-port"),
        gateway: yield* parsePort(input, "gateway-port"),
        game: yield* parsePort(input, "game-port")
      },
      newKeys: input.on["new-keys"] === true,
      logLevel
    }
  })

const parsePort = (input: Input, flag: string): Effect.Effect<number | undefined, CommandFailure> => {
  const text = input.text[flag]
  if (text === undefined) return Effect.succeed(undefined)
  return /^[0-9]{1,5}$/.test(text) && Number(text) <= 65535
    ? Effect.succeed(Number(text))
    : Effect.fail(usage(`--${flag} must be a port from 0 to 65535 (0 = any free one), not ${JSON.stringify(text)}`))
}

const usage = (line: string): CommandFailure => failure(EXIT.usage, `horizon up: ${line}`)

/** A port that was given is taken as it is; the node's usual one only if it is free. */
const tcpPort = (options: Options): Effect.Effect<number> =>
  portOf("broker", options, (port, free) => {
    const server = createServer()
    server.once("error", () => free(false))
    server.listen({ port, host: options.address, exclusive: true }, () => server.close(() => free(true)))
  })

const udpPort = (name: "gateway" | "game", options: Options): Effect.Effect<number> =>
  portOf(name, options, (port, free) => {
    const socket = createSocket(options.address.includes(":") ? "udp6" : "udp4")
    socket.once("error", () => {
      socket.close()
      free(false)
    })
    socket.bind({ port, address: options.address, exclusive: true }, () => socket.close(() => free(true)))
  })

const portOf = (
  name: "broker" | "gateway" | "game",
  options: Options,
  probe: (port: number, free: (yes: boolean) => void) => void
): Effect.Effect<number> => {
  const given = options.ports[name]
  if (given !== undefined) return Effect.succeed(given)
  return Effect.flatMap(
    Effect.promise(() => settingsOf(name)),
    (settings) => {
      const usual = Number(settings["port"]?.default ?? 0)
      return Effect.callback<number>((resume) => probe(usual, (yes) => resume(Effect.succeed(yes ? usual : 0))))
    }
  )
}
