/** One way of one link whose impairments are qdiscs on a device: changes in turn, counts over all stacks that were ever there. */

import type { LinkSpec } from "@horizon/core/link/spec.ts"
import { PERFECT_LINK } from "@horizon/core/link/spec.ts"
import { changeTc, isPerfect, readTc, type StackCount, stackCount, type TcExec } from "./tc-held.ts"
import type { HeldQdisc } from "./tc-settings.ts"

export class TcWay {
  private readonly name: string
  private readonly device: string
  private readonly exec: TcExec
  /** Of the stack that is there. */
  private spec: LinkSpec = PERFECT_LINK
  /** What stacks that have been replaced did. */
  private before: StackCount = { packets: 0, bytes: 0, dropped: 0, overlimits: 0, marked: 0 }
  private turn: Promise<unknown> = Promise.resolve()

  /** `name` is for messages: `alice/up`. */
  constructor(name: string, device: string, exec: TcExec) {
    this.name = name
    this.device = device
    this.exec = exec
  }

  /** Puts a spec in force and reads it back; resolves with what the kernel does only nearly. */
  configure(spec: LinkSpec): Promise<ReadonlyArray<string>> {
    return this.next(async () => {
      const total = this.total(await this.read())
      try {
        const { notes, replaced } = await changeTc(this.exec, this.device, spec, this.name)
        if (replaced) this.before = total
        this.spec = spec
        return notes
      } catch (cause) {
        this.before = total
        this.spec = PERFECT_LINK
        throw cause
      }
    })
  }

  /** What qdiscs have done on this way since the link was made, from what is held now if that has been read already. */
  count(held?: ReadonlyArray<HeldQdisc>): Promise<StackCount> {
    return this.next(async () => this.total(held ?? (await this.read())))
  }

  private read(): Promise<ReadonlyArray<HeldQdisc>> {
    return isPerfect(this.spec) ? Promise.resolve([]) : readTc(this.exec, this.device)
  }

  private total(held: ReadonlyArray<HeldQdisc>): StackCount {
    const { before } = this
    const now = stackCount(isPerfect(this.spec) ? [] : held, this.spec)
    return {
      packets: before.packets + now.packets,
      bytes: before.bytes + now.bytes,
      dropped: before.dropped + now.dropped,
      overlimits: before.overlimits + now.overlimits,
      marked: before.marked + now.marked
    }
  }

  private next<T>(work: () => Promise<T>): Promise<T> {
    const result = this.turn.then(work)
    this.turn = result.catch(() => {})
    return result
  }
}
