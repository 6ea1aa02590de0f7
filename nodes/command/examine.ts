/**
 * What `horizon doctor` looks at: reads files, opens sockets for a moment, asks programs for their version, and as root asks the kernel
 * in a network namespace that is gone with the question; changes nothing.
 */

import { execFile } from "node:child_process"
import { createSocket } from "node:dgram"
import { accessSync, closeSync, constants, openSync, readFileSync } from "node:fs"
import { availableParallelism, freemem, release, totalmem } from "node:os"
import { delimiter, join } from "node:path"
import { nativeMissing } from "@horizon/real/native.ts"

export interface Finding {
  readonly name: string
  readonly state: "ok" | "absent" | "missing"
  /** Whether nothing runs without it. */
  readonly must: boolean
  /** What was found, or what was not. */
  readonly seen: string
  /** What it is for. */
  readonly purpose: string
  /** How to get it. */
  readonly remedy?: string
}

/** Longest wait for a program that is asked for its version. */
const ASK_MS = 3_000
const NODE_MAJOR = 24
const MEMORY_BYTES_MIN = 2 * 1024 ** 3

/** All findings, the musts first. */
export const examine = async (): Promise<ReadonlyArray<Finding>> => [
  node(),
  cores(),
  memory(),
  await libsql(),
  nativeModule(),
  tunDriver(),
  simulated(),
  await loopback("udp4", "127.0.0.1"),
  await loopback("udp6", "::1"),
  ...(await namespaces()),
  ...(await Promise.all(PROGRAMS.map(program)))
]

const node = (): Finding => {
  const major = Number(process.versions.node.split(".")[0])
  return {
    name: "Node.js",
    state: major >= NODE_MAJOR ? "ok" : "missing",
    must: true,
    seen: process.versions.node,
    purpose: "runs everything",
    remedy: `npm ci    (brings Node.js ${NODE_MAJOR} for the npm scripts)`
  }
}

const cores = (): Finding => ({
  name: "cores",
  state: "ok",
  must: false,
  seen: String(availableParallelism()),
  purpose: "batches of seeds use all of them"
})

const memory = (): Finding => ({
  name: "memory",
  state: totalmem() >= MEMORY_BYTES_MIN ? "ok" : "absent",
  must: false,
  seen: `${gibibytes(totalmem())} GiB, ${gibibytes(freemem())} free`,
  purpose: "about 0.3 GiB for each run at once"
})

const gibibytes = (bytes: number): string => (bytes / 1024 ** 3).toFixed(1)

const libsql = async (): Promise<Finding> => {
  const about = { name: "libSQL driver", must: true, purpose: "the broker's store, key locks" }
  try {
    const { default: Database } = await import("libsql")
    const database = new Database(":memory:")
    const [version] = database.prepare("SELECT sqlite_version()").raw(true).get([]) as unknown as [string]
    database.close()
    return { ...about, state: "ok", seen: `SQLite ${version}` }
  } catch (cause) {
    return { ...about, state: "missing", seen: (cause as Error).message.split("\n")[0], remedy: "npm ci" }
  }
}

const nativeModule = (): Finding => {
  const missing = nativeMissing()
  const about = { name: "native module", must: false, purpose: "tunnels, and packets at full speed" }
  return missing === undefined
    ? { ...about, state: "ok", seen: "built" }
    : { ...about, state: "absent", seen: "not there", remedy: missing }
}

/** Whether this user may make network interfaces: opens the driver for a moment, and looks for CAP_NET_ADMIN. */
const tunDriver = (): Finding => {
  const about = { name: "TUN driver", must: false, purpose: "the network interface of a client" }
  try {
    closeSync(openSync("/dev/net/tun", "r+"))
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const remedy =
      code === "EACCES" || code === "EPERM"
        ? "sudo npx horizon …"
        : "modprobe tun    (for a container: --device /dev/net/tun --cap-add NET_ADMIN)"
    return { ...about, state: "absent", seen: `/dev/net/tun: ${code}`, remedy }
  }
  return mayAdministerNetworks()
    ? { ...about, state: "ok", seen: "/dev/net/tun, CAP_NET_ADMIN" }
    : { ...about, state: "absent", seen: "no CAP_NET_ADMIN", remedy: "sudo npx horizon …, or grant CAP_NET_ADMIN" }
}

/** Number of CAP_NET_ADMIN in linux/capability.h. */
const CAP_NET_ADMIN = 12n

const mayAdministerNetworks = (): boolean => {
  try {
    const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))
    return effective !== null && ((BigInt(`0x${effective[1]}`) >> CAP_NET_ADMIN) & 1n) === 1n
  } catch {
    // Not Linux.
    return false
  }
}

const simulated = (): Finding => ({
  name: "world: simulated",
  state: "ok",
  must: true,
  seen: "always",
  purpose: "all scenarios, in virtual time"
})

const loopback = (family: "udp4" | "udp6", address: string): Promise<Finding> =>
  new Promise((resolve) => {
    const socket = createSocket(family)
    const finish = (seen: string, ok: boolean): void => {
      socket.close()
      resolve({
        name: family === "udp4" ? "world: loopback" : "IPv6",
        state: ok ? "ok" : "absent",
        must: false,
        seen,
        purpose: family === "udp4" ? "scenarios on real sockets" : "sockets on both families"
      })
    }
    socket.once("error", (error) => finish(`${address}: ${(error as NodeJS.ErrnoException).code}`, false))
    socket.bind(0, address, () => finish(`UDP on ${address}`, true))
  })

/** What scenarios in network namespaces (and Mininet) need. */
const namespaces = async (): Promise<ReadonlyArray<Finding>> => {
  const root = process.getuid?.() === 0
  const world = "scenarios on the kernel's network"
  const tool = async (name: string, args: ReadonlyArray<string>, pack: string, purpose = world): Promise<Finding> => {
    const said = await ask(name, args)
    return {
      name,
      state: said === undefined ? "absent" : "ok",
      must: false,
      seen: said ?? "not found",
      purpose,
      remedy: `apt install ${pack}`
    }
  }
  return [
    {
      name: "root",
      state: root ? "ok" : "absent",
      must: false,
      seen: root ? "yes" : "no",
      purpose: world,
      remedy: "sudo npx horizon …"
    },
    await tool("ip", ["-V"], "iproute2"),
    await tool("nsenter", ["--version"], "util-linux"),
    await tool("tc", ["-V"], "iproute2"),
    await netem(root),
    await tool("nft", ["--version"], "nftables"),
    ...(root ? [await nftables()] : []),
    await tool("ethtool", ["--version"], "ethtool"),
    await tool("tcpdump", ["--version"], "tcpdump", "captures of such runs"),
    await tool(
      "linux.uml",
      ["--version"],
      "user-mode-linux",
      "a kernel with netem where this one has none; horizon lab guest"
    ),
    await tool("mn", ["--version"], "mininet", "world mininet"),
    await tool("ovs-vsctl", ["--version"], "openvswitch-switch", "Mininet's switches; else Linux bridges")
  ]
}

/** What the kernel's nftables lack of what NATs and partitions are made of. */
const nftables = async (): Promise<Finding> => {
  const lacking: Array<string> = []
  for (const [what, script] of NFTABLES_PARTS) if (!(await kernelTakes(["nft", script]))) lacking.push(what)
  return {
    name: "nftables",
    state: lacking.length === 0 ? "ok" : "absent",
    must: false,
    seen:
      lacking.length === 0
        ? NFTABLES_PARTS.map(([what]) => what).join(", ")
        : `not in kernel ${release()}: ${lacking.join(", ")}`,
    purpose: "NATs and partitions there",
    remedy: "modprobe nft_chain_nat nf_tables_bridge    (a distribution kernel has them)"
  }
}

const NFTABLES_PARTS = [
  ["NAT", "add table ip t; add chain ip t c { type nat hook postrouting priority 100 ; }; add rule ip t c masquerade"],
  [
    "zones",
    "add table ip t; add chain ip t c { type filter hook prerouting priority -301 ; }; add rule ip t c ct zone set 1"
  ],
  ["bridges", "add table bridge t; add chain bridge t c { type filter hook postrouting priority 0 ; }"]
] as const

/** Whether the kernel does what a command asks of a network namespace of its own. Needs root. */
const kernelTakes = (command: ReadonlyArray<string>): Promise<boolean> =>
  new Promise((resolve) => {
    const unshare = find("unshare")
    if (unshare === undefined) return resolve(false)
    const env = { ...process.env, PATH: `${process.env["PATH"] ?? ""}${delimiter}/usr/sbin${delimiter}/sbin` }
    execFile(unshare, ["--net", ...command], { timeout: ASK_MS, env }, (error) => resolve(error === null))
  })

/** Whether the kernel has the netem queueing discipline: asked as root, else looked up (loaded, built in, or as a module). */
const netem = async (root: boolean): Promise<Finding> => {
  const kernel = release()
  const about = {
    name: "netem",
    must: false,
    purpose: "delay, loss and rate there",
    remedy: "modprobe sch_netem    (a distribution kernel has it; without it: user-mode-linux, or our own link process)"
  }
  if (root && (await kernelTakes(["tc", "qdisc", "add", "dev", "lo", "root", "netem"])))
    return { ...about, state: "ok", seen: `kernel ${kernel} takes it` }
  if (root) return { ...about, state: "absent", seen: `not in kernel ${kernel}` }
  const read = (path: string): string => {
    try {
      return readFileSync(path, "utf8")
    } catch {
      return ""
    }
  }
  const where = read("/proc/modules").includes("sch_netem")
    ? "loaded"
    : read(`/lib/modules/${kernel}/modules.builtin`).includes("sch_netem")
      ? "built in"
      : read(`/lib/modules/${kernel}/modules.dep`).includes("sch_netem")
        ? "as a module"
        : read(`/boot/config-${kernel}`).includes("CONFIG_NET_SCH_NETEM=y")
          ? "built in"
          : undefined
  return {
    ...about,
    state: where === undefined ? "absent" : "ok",
    seen: where === undefined ? `not seen in kernel ${kernel}` : `${where}, kernel ${kernel}`
  }
}

interface Program {
  readonly name: string
  readonly commands: ReadonlyArray<string>
  readonly args: ReadonlyArray<string>
  readonly purpose: string
  readonly remedy: string
}

const PROGRAMS: ReadonlyArray<Program> = [
  {
    name: "Chromium",
    commands: ["chromium", "chromium-browser", "google-chrome"],
    args: ["--version"],
    purpose: "tests of the report page",
    remedy: "apt install chromium"
  },
  {
    name: "PostgreSQL",
    commands: ["postgres", "psql"],
    args: ["--version"],
    purpose: "the broker's replicated store",
    remedy: "apt install postgresql"
  },
  {
    name: "k6",
    commands: ["k6"],
    args: ["version"],
    purpose: "HTTP load on the broker",
    remedy: "see https://grafana.com/docs/k6/latest/set-up/install-k6/"
  },
  {
    name: "Rust (cargo)",
    commands: ["cargo"],
    args: ["--version"],
    purpose: "builds the native module",
    remedy: "apt install rustup && rustup default stable    (1.88 or newer)"
  },
  {
    name: "tshark",
    commands: ["tshark"],
    args: ["--version"],
    purpose: "checks captures of runs",
    remedy: "apt install tshark"
  }
]

const program = async ({ args, commands, name, purpose, remedy }: Program): Promise<Finding> => {
  for (const command of commands) {
    const said = await ask(command, args)
    if (said !== undefined) return { name, state: "ok", must: false, seen: said, purpose }
  }
  return { name, state: "absent", must: false, seen: "not found", purpose, remedy }
}

/** First line of what a program says, or `undefined` if it is not there. Administrators' directories are searched too. */
const ask = (command: string, args: ReadonlyArray<string>): Promise<string | undefined> => {
  const path = find(command)
  if (path === undefined) return Promise.resolve(undefined)
  return new Promise((resolve) => {
    execFile(path, args, { timeout: ASK_MS, encoding: "utf8" }, (error, stdout, stderr) => {
      const line = (stdout.trim() || stderr.trim()).split("\n")[0].slice(0, 60)
      resolve(line !== "" ? line : error === null ? path : undefined)
    })
  })
}

const find = (command: string): string | undefined => {
  for (const directory of [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"]) {
    const path = join(directory, command)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not there.
    }
  }
  return undefined
}
