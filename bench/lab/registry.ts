/**
 * What labs leave on this host while they stand, one file for each lab, written before the things themselves are made: whoever finds
 * the file after the runner was killed can take everything away (clean.ts).
 */

import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { LabError } from "./lab-error.ts"

/** Where the files are. */
export const LABS_FOLDER = "/run/horizon/labs"

/** A process: a number is given to others later, the number with its start is not. */
export interface ProcessMark {
  readonly pid: number
  /** Clock ticks from the boot to the start of the process, as /proc/PID/stat says. */
  readonly startTicks: number
}

export interface LabRecord {
  readonly format: "horizon-lab/1"
  readonly id: string
  /** What the lab is for, for people: a scenario's name, a command. */
  readonly purpose: string
  /** The process that made the lab and takes it away. */
  readonly runner: ProcessMark
  /** All marks are of this boot of the kernel. */
  readonly bootId: string
  /** When it was begun, in ms since 1970. */
  readonly sinceMs: number
  /** Network namespaces by name; processes and devices in them go with them. */
  readonly namespaces: ReadonlyArray<string>
  /** Processes outside of those namespaces, such as guests. */
  readonly processes: ReadonlyArray<ProcessMark>
  /** Folders that belong to the lab alone. */
  readonly folders: ReadonlyArray<string>
}

/** Begins a lab of this process; refuses a name that a lab already has. */
export const beginLab = (id: string, purpose: string, folder = LABS_FOLDER): void => {
  mkdirSync(folder, { recursive: true })
  const record: LabRecord = {
    format: "horizon-lab/1",
    id,
    purpose,
    runner: markOf(process.pid) ?? { pid: process.pid, startTicks: 0 },
    bootId: currentBoot(),
    sinceMs: Date.now(),
    namespaces: [],
    processes: [],
    folders: []
  }
  const draft = join(folder, `${id}.${process.pid}.new`)
  writeFileSync(draft, text(record), { mode: 0o644 })
  try {
    // A whole file under its name at once, or none: half a record would hide a lab.
    linkSync(draft, fileOf(id, folder))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause
    throw new LabError(
      "failed",
      `lab ${id} is there already: "horizon lab list" says whose it is, "horizon lab clean" takes dead ones away`
    )
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Records namespaces that will be made. */
export const recordNamespaces = (id: string, namespaces: ReadonlyArray<string>, folder = LABS_FOLDER): void =>
  change(id, folder, (record) => ({ ...record, namespaces: union(record.namespaces, namespaces) }))

/**
 * Records a process that lives outside of the lab's namespaces, at once after it was started; one that is dead already is not
 * recorded.
 */
export const recordPid = (id: string, pid: number, folder = LABS_FOLDER): void => {
  const mark = markOf(pid)
  if (mark !== undefined) change(id, folder, (record) => ({ ...record, processes: [...record.processes, mark] }))
}

/** Records a folder that will be made, with everything in it the lab's own; for example under the system's temporary folder. */
export const recordFolder = (id: string, path: string, folder = LABS_FOLDER): void => {
  const whole = resolve(path)
  // What is recorded is removed, so nothing may be recorded that cannot be a lab's.
  if (whole.split("/").length < 3 || !/^(hz|horizon-)/.test(whole.split("/").at(-1)!))
    throw new LabError(
      "failed",
      `folder ${path}: a lab's own folder is below another one, under a name that starts with "hz" or "horizon-"`
    )
  change(id, folder, (record) => ({ ...record, folders: union(record.folders, [whole]) }))
}

/** Ends a lab of which nothing is left. Nothing if there is no such lab. */
export const endLab = (id: string, folder = LABS_FOLDER): void => rmSync(fileOf(id, folder), { force: true })

/** All labs of this host, by name. */
export const listLabs = (folder = LABS_FOLDER): ReadonlyArray<LabRecord> =>
  (existsSync(folder) ? readdirSync(folder) : [])
    .filter((name) => name.endsWith(".json"))
    .sort()
    .flatMap((name) => read(name.slice(0, -".json".length), folder) ?? [])

/** Whether the process that made a lab still runs. */
export const isAlive = (record: LabRecord): boolean => record.bootId === currentBoot() && isSame(record.runner)

/** Whether a process of a lab still runs. */
export const isSame = (mark: ProcessMark): boolean => markOf(mark.pid)?.startTicks === mark.startTicks

/** The boot of the kernel. */
export const currentBoot = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()

const fileOf = (id: string, folder: string): string => join(folder, `${id}.json`)

const text = (record: LabRecord): string => `${JSON.stringify(record, undefined, 2)}\n`

const read = (id: string, folder: string): LabRecord | undefined => {
  try {
    const record = JSON.parse(readFileSync(fileOf(id, folder), "utf8")) as LabRecord
    return record.format === "horizon-lab/1" && record.id === id ? record : undefined
  } catch {
    // Ended meanwhile, or not ours.
    return undefined
  }
}

/** Only the runner writes its record, so reading and writing need no lock; a reader never sees half a file. */
const change = (id: string, folder: string, work: (record: LabRecord) => LabRecord): void => {
  const record = read(id, folder)
  if (record === undefined)
    throw new LabError("failed", `lab ${id} has not been begun, so nothing can be recorded for it`)
  const draft = join(folder, `${id}.${process.pid}.new`)
  writeFileSync(draft, text(work(record)), { mode: 0o644 })
  renameSync(draft, fileOf(id, folder))
}

const union = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): ReadonlyArray<string> => [...new Set([...a, ...b])]

/** A running process; `undefined` if there is none of this number, or if it has ended and only waits to be collected. */
const markOf = (pid: number): ProcessMark | undefined => {
  try {
    // The name may hold spaces and brackets; what counts follows its last bracket.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ")
    const [state] = fields
    return state === "Z" || state === "X" ? undefined : { pid, startTicks: Number(fields[START_FIELD]) }
  } catch {
    return undefined
  }
}

/** `starttime` is field 22 of proc_pid_stat(5), and the state is field 3. */
const START_FIELD = 22 - 3
