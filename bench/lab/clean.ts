/**
 * Takes labs away whose runner is gone, as `kill -9` leaves them: processes, then folders and namespaces, and with the namespaces
 * every device, address, qdisc and nftables table in them; the record goes last, so that a clean-up that is cut short can be repeated.
 */

import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { run } from "./command.ts"
import { LabError } from "./lab-error.ts"
import {
  currentBoot,
  endLab,
  isAlive,
  isSame,
  LABS_FOLDER,
  type LabRecord,
  listLabs,
  type ProcessMark
} from "./registry.ts"

export interface CleanOptions {
  /** Also labs whose runner still runs. */
  readonly all: boolean
  /** Where the records are. */
  readonly folder?: string
}

/** What was taken away of one lab. */
export interface Cleaned {
  readonly id: string
  readonly processes: number
  readonly namespaces: number
  readonly folders: number
}

/** Removes the labs whose runner is dead, or all; resolves with what was removed. Other labs are not touched. */
export const cleanLabs = async (options: CleanOptions): Promise<ReadonlyArray<Cleaned>> => {
  const folder = options.folder ?? LABS_FOLDER
  const dead = listLabs(folder).filter((record) => options.all || !isAlive(record))
  const cleaned: Array<Cleaned> = []
  for (const record of dead) {
    const processes = await endProcesses(record)
    const folders = record.folders.filter((path) => existsSync(path))
    for (const path of folders) rmSync(path, { recursive: true, force: true })
    const namespaces = await removeNamespaces(record.namespaces)
    endLab(record.id, folder)
    cleaned.push({ id: record.id, processes, namespaces, folders: folders.length })
  }
  return cleaned
}

/** Kills every process whose network is one of the namespaces, but for some, and waits until it is gone; resolves with how many there were. */
export const endProcessesIn = (
  namespaces: ReadonlyArray<string>,
  spare: (pid: number) => boolean = () => false
): Promise<number> => endAll(() => processesIn(namespaces).filter((pid) => !spare(pid)))

/** Deletes network namespaces that are there; resolves with how many there were. */
export const removeNamespaces = async (namespaces: ReadonlyArray<string>): Promise<number> => {
  const there = namespaces.filter((name) => existsSync(`${NETNS_FOLDER}/${name}`))
  if (there.length === 0) return 0
  const input = there.map((name) => `netns del ${name}\n`).join("")
  await run(["ip", "-force", "-batch", "-"], { input }).catch(() => {})
  const left = there.filter((name) => existsSync(`${NETNS_FOLDER}/${name}`))
  if (left.length > 0)
    throw new LabError(
      "failed",
      `namespaces ${left.join(", ")} cannot be deleted: try "ip netns del ${left[0]}" as root`
    )
  return there.length
}

/** Where `ip netns` keeps names. */
const NETNS_FOLDER = "/run/netns"
/** Rounds of killing: a process may start another one while it is being killed. */
const ROUNDS_MAX = 20
const ROUND_MS = 25

const endProcesses = (record: LabRecord): Promise<number> =>
  endAll(() => [
    ...(record.bootId === currentBoot() ? record.processes.filter(isSame).map(({ pid }: ProcessMark) => pid) : []),
    ...processesIn(record.namespaces)
  ])

const endAll = async (find: () => ReadonlyArray<number>): Promise<number> => {
  const ended = new Set<number>()
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const pids = find().filter((pid) => pid !== process.pid)
    if (pids.length === 0) return ended.size
    for (const pid of pids) {
      ended.add(pid)
      try {
        process.kill(pid, "SIGKILL")
      } catch {
        // Gone meanwhile.
      }
    }
    await sleep(ROUND_MS)
  }
  throw new LabError("failed", `processes ${find().join(", ")} do not die: a device or file system holds them`)
}

/** Processes whose network is one of the namespaces. */
export const processesIn = (namespaces: ReadonlyArray<string>): ReadonlyArray<number> => {
  const inodes = new Set(namespaces.flatMap((name) => inodeOf(name) ?? []))
  if (inodes.size === 0) return []
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && inodes.has(networkOf(pid)) && !hasEnded(pid))
}

const inodeOf = (namespace: string): string | undefined => {
  try {
    return `net:[${statSync(`${NETNS_FOLDER}/${namespace}`).ino}]`
  } catch {
    return undefined
  }
}

const networkOf = (pid: number): string => {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`)
  } catch {
    return ""
  }
}

/** A process that only waits to be collected by its parent holds nothing. */
const hasEnded = (pid: number): boolean => {
  try {
    return /^\S+ \(.*\) [ZX] /s.test(readFileSync(`/proc/${pid}/stat`, "utf8"))
  } catch {
    return true
  }
}
