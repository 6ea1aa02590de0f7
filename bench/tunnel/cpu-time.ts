/** CPU time of processes, from /proc. */

import { readFileSync } from "node:fs"
import type { TunnelProcess } from "../peers/peer.ts"

/** Seconds of CPU time by the end that the process serves. */
export type CpuSeconds = Readonly<Record<TunnelProcess["end"], number>>

/** Linux counts in hundredths of a second for programs (USER_HZ), whatever its own clock. */
const TICKS_PER_SECOND = 100

/** CPU time that the processes, and their children that have ended, have used so far. */
export const cpuSecondsOf = (processes: ReadonlyArray<TunnelProcess>): CpuSeconds => {
  const sums = { a: 0, b: 0, both: 0 }
  for (const { pid, end } of processes) sums[end] += readCpuSeconds(pid)
  return sums
}

export const cpuSecondsBetween = (before: CpuSeconds, after: CpuSeconds): CpuSeconds => ({
  a: after.a - before.a,
  b: after.b - before.b,
  both: after.both - before.both
})

export const totalCpuSeconds = (cpu: CpuSeconds): number => cpu.a + cpu.b + cpu.both

const readCpuSeconds = (pid: number): number => {
  try {
    return cpuSecondsIn(readFileSync(`/proc/${pid}/stat`, "utf8"))
  } catch {
    return 0
  }
}

/** User and system time with that of waited-for children, in the text of /proc/PID/stat (proc_pid_stat(5), fields 14 to 17). */
export const cpuSecondsIn = (stat: string): number => {
  // The program's name stands in parentheses and may hold anything, spaces and parentheses too.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_SECOND
}
