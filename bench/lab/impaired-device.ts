/** One way of one link as a device of a bridge that the link's frames leave by: qdiscs, and a limit of the packets' size. */

import type { LinkSpec } from "@horizon/core/link/spec.ts"
import { MtuLimit, type NftExec } from "./mtu-limit.ts"
import type { StackCount, TcExec } from "./tc-held.ts"
import type { HeldQdisc } from "./tc-settings.ts"
import { TcWay } from "./tc-way.ts"

/** Runs the tools where the device is. */
export interface DeviceTools {
  readonly tc: TcExec
  readonly nft: NftExec
}

/** What virtual devices start with. */
const MTU_BYTES = 1500

export class ImpairedDevice {
  readonly device: string
  private readonly tc: TcWay
  private readonly mtu: MtuLimit

  /** `name` is for messages: `alice/up`. */
  constructor(name: string, device: string, tools: DeviceTools) {
    this.device = device
    this.tc = new TcWay(name, device, tools.tc)
    this.mtu = new MtuLimit(device, tools.nft)
  }

  /** Puts a spec in force and reads it back; resolves with what the kernel does only nearly. */
  async configure(spec: LinkSpec): Promise<ReadonlyArray<string>> {
    const limits = spec.mtuBytes > 0 && spec.mtuBytes < MTU_BYTES
    await this.mtu.set(limits ? spec.mtuBytes : 0)
    return [...mtuNotes(spec, limits), ...(await this.tc.configure(spec))]
  }

  /** What it did since it was made, from what `tc` shows of the device if that has been read already. */
  async count(held?: ReadonlyArray<HeldQdisc>): Promise<StackCount> {
    const count = await this.tc.count(held)
    return { ...count, dropped: count.dropped + (await this.mtu.drops()) }
  }
}

const mtuNotes = (spec: LinkSpec, limits: boolean): ReadonlyArray<string> => {
  if (spec.mtuBytes > MTU_BYTES) return [`mtuBytes: the devices pass ${MTU_BYTES} bytes`]
  return limits && spec.mtuAnswer ? ["mtuAnswer: what is too long vanishes without an answer"] : []
}
