/** Nebula with its default cipher (AES-256-GCM), two hosts that know each other's address, no lighthouse. */

import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { missingTool, run } from "../lab/command.ts"
import { LabError } from "../lab/lab-error.ts"
import { cached } from "../net/cache.ts"
import { Child } from "../net/child.ts"
import type { Pair } from "../net/pair.ts"
import { makePeerFolder } from "./folder.ts"
import { deviceExists, ENDS, INNER, type Peer, prepared, preparing, type Tunnel, type Version } from "./peer.ts"

/** Newest first. The newest asks for a newer Go than many hosts have, and of some a needed module is not to be had everywhere. */
const VERSIONS = ["v1.12.0", "v1.11.2", "v1.11.1"]
const MODULE = "github.com/slackhq/nebula/cmd"
const BUILD_TIMEOUT_MS = 10 * 60_000
/** What was built, and why nothing newer, as the build left it beside the programs. */
const VERSION_FILE = "version.json"

const UDP_PORT = 4242
/** Nebula's default. */
const MTU_BYTES = 1_300

let built: string | undefined

export const nebula: Peer = {
  name: "nebula",
  title: "Nebula, AES-256-GCM",
  kind: "peer",
  prepare: (onProgress) =>
    preparing(async () => {
      const missing = missingTool("go")
      if (missing !== undefined) throw new LabError("missing", missing)
      const go = (await run(["go", "env", "GOVERSION"])).trim()
      // Another Go may be able to build a newer one, so it starts anew.
      const name = join("peers", `nebula-${VERSIONS[0]}-${go}`)
      built = await cached(name, (folder) => build(folder, onProgress))
      return JSON.parse(readFileSync(join(built, VERSION_FILE), "utf8")) as Version
    }),
  start: (pair) => start(pair, prepared("nebula", built))
}

/** Builds the newest version that can be built here. */
const build = async (folder: string, onProgress: (sentence: string) => void): Promise<void> => {
  const refused: Array<string> = []
  for (const version of VERSIONS) {
    onProgress(`building nebula ${version}, once`)
    try {
      await run(["go", "install", `${MODULE}/nebula@${version}`, `${MODULE}/nebula-cert@${version}`], {
        timeoutMs: BUILD_TIMEOUT_MS,
        env: { GOBIN: folder, GOFLAGS: "-mod=mod", CGO_ENABLED: "0" }
      })
      const note = refused.length === 0 ? {} : { note: `newer ones do not build here: ${refused.join("; ")}` }
      writeFileSync(join(folder, VERSION_FILE), JSON.stringify({ version, ...note } satisfies Version))
      return
    } catch (error) {
      refused.push(`${version}: ${whyNot((error as Error).message)}`)
    }
  }
  throw new LabError("missing", `nebula does not build here: ${refused.join("; ")}`)
}

/** The reason in what Go says, which tells what it downloads before. */
export const whyNot = (said: string): string =>
  /requires go >= \S+/.exec(said)?.[0] ??
  said
    .replace(/^[\s\S]*?(\S+@v[^\s:]+): reading \S+: (.*)[\s\S]*$/, "$1 is not to be had: $2")
    .slice(0, REASON_CHARACTERS_MAX)

const REASON_CHARACTERS_MAX = 200

export interface NebulaEnd {
  readonly device: string
  readonly listen: string
  readonly peerInner: string
  readonly peerAddress: string
  readonly caFile: string
  readonly certificateFile: string
  readonly keyFile: string
}

/** The configuration file of one end. JSON, which is YAML too, so that nothing has to be quoted by hand. */
export const nebulaConfig = (end: NebulaEnd): string => {
  const anything = [{ port: "any", proto: "any", host: "any" }]
  const config = {
    pki: { ca: end.caFile, cert: end.certificateFile, key: end.keyFile },
    static_host_map: { [end.peerInner]: [`${end.peerAddress}:${UDP_PORT}`] },
    lighthouse: { am_lighthouse: false, hosts: [] },
    listen: { host: end.listen, port: UDP_PORT },
    punchy: { punch: false },
    tun: { dev: end.device, mtu: MTU_BYTES },
    logging: { level: "warning" },
    firewall: { outbound: anything, inbound: anything }
  }
  return JSON.stringify(config, null, 2)
}

const start = async (pair: Pair, programs: string): Promise<Tunnel> => {
  const folder = makePeerFolder(pair.id)
  const children: Array<Child> = []
  const stop = async (): Promise<void> => {
    for (const child of children) await child.stop()
    folder.remove()
  }
  try {
    const inFolder = (name: string): string => join(folder.path, name)
    const ca = ["-out-crt", inFolder("ca.crt"), "-out-key", inFolder("ca.key")]
    const cert = join(programs, "nebula-cert")
    await run([cert, "ca", "-name", "horizon-bench", "-duration", "48h", ...ca])
    for (const end of ENDS) {
      const other = end === "a" ? "b" : "a"
      const [certificateFile, keyFile] = [inFolder(`${end}.crt`), inFolder(`${end}.key`)]
      const by = ["-ca-crt", inFolder("ca.crt"), "-ca-key", inFolder("ca.key")]
      const to = ["-out-crt", certificateFile, "-out-key", keyFile]
      await run([cert, "sign", "-name", end, "-networks", `${INNER[end]}/${INNER.prefixBits}`, ...by, ...to])
      const device = `${pair.id}t`
      const config = nebulaConfig({
        device,
        listen: pair[end].address,
        peerInner: INNER[other],
        peerAddress: pair[other].address,
        caFile: inFolder("ca.crt"),
        certificateFile,
        keyFile
      })
      const child = Child.start({
        name: `nebula, end ${end}`,
        command: [join(programs, "nebula"), "-config", folder.write(`${end}.yaml`, config)],
        enter: pair[end].enter
      })
      children.push(child)
      await child.until(() => deviceExists(pair[end], device), "device")
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
