/**
 * Puts processes ahead of others for the processor: those that stand for a wire, or measure one. Not above all others, as a real-time class
 * would: what goes wrong in them must not make the machine deaf.
 *
 * Three things, each as far as the kernel has it: the nice value; that of the process's session, among which autogroups share the processor
 * first (sched(7)), so the process should have one of its own; and a short time slice, because a process whose slice is shorter need not wait
 * until another's has run out.
 */

import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { setPriority } from "node:os"

/** The shortest slice that EEVDF takes (sched_setattr(2)). */
const SLICE_NS = 100_000

/** `nice` from -20, the most, to 19. Without the right to it nothing changes; processes that have ended do not matter. */
export const favour = (processes: ReadonlyArray<number>, nice: number): void => {
  for (const pid of processes) {
    attempt(() => setPriority(pid, nice))
    attempt(() => writeFileSync(`/proc/${pid}/autogroup`, `${nice}`))
  }
  const call = SCHED_SETATTR[process.arch]
  // No tool of an older distribution sets a slice, and Perl, which can call the kernel, is in all of them.
  if (processes.length > 0 && call !== undefined)
    spawnSync("perl", ["-e", SET_SLICES, `${call}`, `${nice}`, `${SLICE_NS}`, ...processes.map(String)], {
      stdio: "ignore"
    })
}

/** Numbers of the system call. */
const SCHED_SETATTR: Readonly<Record<string, number>> = { x64: 314, arm64: 274, riscv64: 274 }

/** struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period. */
const SET_SLICES = `
  my ($call, $nice, $slice, @processes) = map { int } @ARGV;
  my $attributes = pack "LLQlLQQQ", 48, 0, 0, $nice, 0, $slice, 0, 0;
  syscall($call, $_, $attributes, 0) for @processes;`

const attempt = (work: () => void): void => {
  try {
    work()
  } catch {
    // Not allowed, not there, or a kernel without it.
  }
}
