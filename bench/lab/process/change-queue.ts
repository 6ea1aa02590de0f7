/**
 * Changes to a lab, in the order in which they were asked for. Faults are struck by plain calls, but what strikes them on a real host
 * takes commands, so each change waits here for the ones before it. A change that fails is a failure of the lab, not of its nodes.
 */

import type { Undo } from "../lab-network.ts"

export class ChangeQueue {
  private readonly onFailure: (sentence: string) => void
  private last: Promise<unknown> = Promise.resolve()

  constructor(onFailure: (sentence: string) => void) {
    this.onFailure = onFailure
  }

  /** Makes a change when those before it are made. `what` names it if it fails. */
  push(what: string, change: () => Promise<unknown>): void {
    this.last = this.last.then(change).catch((cause: unknown) => {
      this.onFailure(`${what} failed: ${cause instanceof Error ? cause.message : String(cause)}`)
    })
  }

  /** Makes a change that can be taken back; the result takes it back, once. */
  pushLasting(what: string, change: () => Promise<Undo>): () => void {
    let undo: Undo | undefined
    this.push(what, async () => {
      undo = await change()
    })
    return () =>
      this.push(`taking back ${what}`, async () => {
        const once = undo
        undo = undefined
        await once?.()
      })
  }

  /** Resolves when all changes that were asked for are made. */
  async settled(): Promise<void> {
    await this.last
  }
}
