/** Worker processes that run simulated scenarios side by side, each run in the order in which it was planned. */

import type { ChildProcess } from "node:child_process"
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { PlannedRun } from "./plan.ts"
import type { RunOnceResult } from "./run-once.ts"
import type { RunnerEvent } from "./runner.ts"

/** What the pool asks of a worker. */
export interface WorkerJob {
  readonly scenario: string
  readonly world: string
  readonly seed: number
  readonly twice: boolean
}

/** What a worker answers. */
export type WorkerMessage =
  | { readonly kind: "event"; readonly event: RunnerEvent }
  | { readonly kind: "result"; readonly result: Pick<RunOnceResult, "run" | "document"> }

const WORKER = fileURLToPath(new URL("./worker.ts", import.meta.url))

export class WorkerPool {
  private readonly children: Array<ChildProcess>
  private readonly onEvent: (event: RunnerEvent) => void
  private closed = false

  constructor(size: number, onEvent: (event: RunnerEvent) => void) {
    this.onEvent = onEvent
    this.children = Array.from({ length: size }, () => fork(WORKER, { serialization: "advanced" }))
  }

  /** Runs all jobs; results come as they finish. Ends early, without an error, when the pool is closed. */
  async runAll(
    planned: ReadonlyArray<PlannedRun>,
    onResult: (result: Pick<RunOnceResult, "run" | "document">) => void
  ): Promise<void> {
    let next = 0
    await Promise.all(
      this.children.map(async (child) => {
        while (next < planned.length && !this.closed) {
          const job = planned[next++]
          const result = await this.runOn(child, job)
          if (result !== undefined) onResult(result)
        }
      })
    )
  }

  close(): void {
    this.closed = true
    for (const child of this.children) child.kill()
  }

  private runOn(
    child: ChildProcess,
    { scenario, world, seed, twice }: PlannedRun
  ): Promise<Pick<RunOnceResult, "run" | "document"> | undefined> {
    return new Promise((resolve, reject) => {
      const onMessage = (message: WorkerMessage): void => {
        if (message.kind === "event") return this.onEvent(message.event)
        settle()
        resolve(message.result)
      }
      const onExit = (code: number | null, signal: string | null): void => {
        settle()
        if (this.closed) resolve(undefined)
        else reject(new Error(`the worker running ${scenario} seed ${seed} died (${signal ?? `exit code ${code}`})`))
      }
      const settle = (): void => {
        child.off("message", onMessage)
        child.off("exit", onExit)
      }
      child.on("message", onMessage)
      child.on("exit", onExit)
      child.send({ scenario: scenario.name, world: world.name, seed, twice } satisfies WorkerJob)
    })
  }
}
