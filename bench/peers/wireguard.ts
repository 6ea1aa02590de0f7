/**
 * WireGuard in user space, whichever program does it: both read their configuration from `wg` over a socket named after the
 * device, so they differ only in how they are built and started.
 */

import { generateKeyPairSync } from "node:crypto"
import { existsSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { missingTool, run } from "../lab/command.ts"
import { LabError } from "../lab/lab-error.ts"
import { cached } from "../net/cache.ts"
import { Child } from "../net/child.ts"
import type { Pair } from "../net/pair.ts"
import { makePeerFolder } from "./folder.ts"
import { configureDevice, deviceExists, ENDS, INNER, type Peer, prepared, preparing, type Tunnel } from "./peer.ts"

const UDP_PORT = 51_820
/** WireGuard's default. */
const MTU_BYTES = 1_420
/** Where programs put the socket that `wg` looks for; the name is part of WireGuard's cross-platform interface. */
const SOCKETS_FOLDER = "/var/run/wireguard"
const BUILD_TIMEOUT_MS = 15 * 60_000

interface Implementation {
  readonly name: string
  readonly title: string
  readonly version: string
  /** Tool that builds it. */
  readonly builder: string
  /** Builds it into a folder. */
  readonly build: (folder: string) => Promise<unknown>
  /** The program inside that folder. */
  readonly program: string
  /** Its arguments for a device; it must stay in the foreground. */
  readonly arguments: (device: string) => ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
}

const wireguard = (implementation: Implementation): Peer => {
  const { name, title, version } = implementation
  let program: string | undefined
  return {
    name,
    title,
    kind: "peer",
    prepare: (onProgress) =>
      preparing(async () => {
        const noConfigurator = missingTool("wg")
        if (noConfigurator !== undefined) throw new LabError("missing", noConfigurator)
        const folder = await cached(join("peers", `${name}-${version}`), async (half) => {
          const noBuilder = missingTool(implementation.builder)
          if (noBuilder !== undefined) throw new LabError("missing", noBuilder)
          onProgress(`building ${name} ${version}, once`)
          await implementation.build(half)
        })
        program = join(folder, implementation.program)
        return { version }
      }),
    start: (pair) => start(pair, implementation, prepared(name, program))
  }
}

/** Go's module proxy serves no branches, so the newest version is the newest pseudo-version that it knew when this was pinned. */
const WIREGUARD_GO_VERSION = "v0.0.0-20260522210424-ecfc5a8d5446"
const BORINGTUN_VERSION = "0.7.1"

export const wireguardGo: Peer = wireguard({
  name: "wireguard-go",
  title: "wireguard-go",
  version: WIREGUARD_GO_VERSION,
  builder: "go",
  build: (folder) =>
    run(["go", "install", `golang.zx2c4.com/wireguard@${WIREGUARD_GO_VERSION}`], {
      timeoutMs: BUILD_TIMEOUT_MS,
      env: { GOBIN: folder, GOFLAGS: "-mod=mod", CGO_ENABLED: "0" }
    }),
  program: "wireguard",
  arguments: (device) => ["-f", device],
  env: { LOG_LEVEL: "error" }
})

export const boringtun: Peer = wireguard({
  name: "boringtun",
  title: "boringtun",
  version: BORINGTUN_VERSION,
  builder: "cargo",
  build: (folder) =>
    run(["cargo", "install", "boringtun-cli", "--version", `=${BORINGTUN_VERSION}`, "--locked", "--root", folder], {
      timeoutMs: BUILD_TIMEOUT_MS
    }),
  program: "bin/boringtun-cli",
  arguments: (device) => ["--foreground", "--disable-drop-privileges", "--verbosity", "error", device],
  env: {}
})

export interface WireguardEnd {
  /** Base64 of 32 bytes. */
  readonly privateKey: string
  readonly peerPublicKey: string
  readonly peerAddress: string
  readonly peerInner: string
}

/** What `wg setconf` reads for one end. */
export const wireguardConfig = (end: WireguardEnd): string =>
  [
    "[Interface]",
    `PrivateKey = ${end.privateKey}`,
    `ListenPort = ${UDP_PORT}`,
    "[Peer]",
    `PublicKey = ${end.peerPublicKey}`,
    `Endpoint = ${end.peerAddress}:${UDP_PORT}`,
    `AllowedIPs = ${end.peerInner}/32`,
    ""
  ].join("\n")

/** An X25519 key pair in WireGuard's base64. */
export const makeWireguardKeys = (): { privateKey: string; publicKey: string } => {
  const { privateKey } = generateKeyPairSync("x25519")
  const { d = "", x = "" } = privateKey.export({ format: "jwk" })
  const base64 = (text: string): string => Buffer.from(text, "base64url").toString("base64")
  return { privateKey: base64(d), publicKey: base64(x) }
}

/** Takes away the sockets of runs that were killed: their programs could not, and no clean-up of namespaces does. */
const sweepSockets = (): void => {
  if (!existsSync(SOCKETS_FOLDER)) return
  for (const name of readdirSync(SOCKETS_FOLDER)) {
    const owner = /^hzp([0-9]+)n[0-9]+w[ab]\.sock$/.exec(name)?.[1]
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) rmSync(join(SOCKETS_FOLDER, name), { force: true })
  }
}

const start = async (pair: Pair, implementation: Implementation, program: string): Promise<Tunnel> => {
  sweepSockets()
  const folder = makePeerFolder(pair.id)
  const children: Array<Child> = []
  // The sockets of both ends lie in one folder, so the devices need different names although they are in different namespaces.
  const deviceOf = (end: "a" | "b"): string => `${pair.id}w${end}`
  const socketOf = (end: "a" | "b"): string => join(SOCKETS_FOLDER, `${deviceOf(end)}.sock`)
  const stop = async (): Promise<void> => {
    for (const child of children) await child.stop()
    for (const end of ENDS) rmSync(socketOf(end), { force: true })
    folder.remove()
  }
  try {
    const keys = { a: makeWireguardKeys(), b: makeWireguardKeys() }
    for (const end of ENDS) {
      const other = end === "a" ? "b" : "a"
      const device = deviceOf(end)
      const child = Child.start({
        name: `${implementation.name}, end ${end}`,
        command: [program, ...implementation.arguments(device)],
        enter: pair[end].enter,
        env: implementation.env
      })
      children.push(child)
      const up = async (): Promise<boolean> => existsSync(socketOf(end)) && (await deviceExists(pair[end], device))
      await child.until(up, "device")
      const config = wireguardConfig({
        privateKey: keys[end].privateKey,
        peerPublicKey: keys[other].publicKey,
        peerAddress: pair[other].address,
        peerInner: INNER[other]
      })
      await run([...pair[end].enter, "wg", "setconf", device, folder.write(`${end}.conf`, config)])
      await configureDevice(pair[end], device, INNER[end], MTU_BYTES)
    }
  } catch (error) {
    await stop()
    throw error
  }
  return {
    addresses: INNER,
    mtuBytes: MTU_BYTES,
    processes: ENDS.map((end, index) => ({ pid: children[index].pid, end })),
    stop
  }
}
