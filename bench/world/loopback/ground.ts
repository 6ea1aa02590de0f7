/** What a lab stands on: a block of addresses, a clock, the virtual network in real time and the real sockets at its ends. */

import type { Topology } from "@horizon/core/lab/topology.ts"
import { Clock } from "@horizon/core/port/clock.ts"
import { Udp } from "@horizon/core/port/udp.ts"
import { layerClock } from "@horizon/real/clock.ts"
import { layerUdp } from "@horizon/real/udp.ts"
import { Network } from "@horizon/sim/net/network.ts"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { LoopbackAddresses, type LoopbackBlock, reserveBlock } from "./addresses.ts"
import { LiveKernel } from "./live-kernel.ts"
import { Outlets } from "./outlets.ts"

export interface GroundOptions {
  readonly topology: Topology
  /** The links' and NATs' random streams. */
  readonly seed: number
  /** Takes what an event of the network throws; nothing runs on the ground after it. */
  readonly onFailure: (error: unknown) => void
}

export interface Ground {
  /** Its time is 0 at the start. */
  readonly clock: Clock["Service"]
  readonly kernel: LiveKernel
  readonly addresses: LoopbackAddresses
  readonly network: Network
  readonly outlets: Outlets
  /** Stops the network, closes all sockets, gives the addresses back. */
  readonly close: () => Promise<void>
}

export const openGround = async (options: GroundOptions): Promise<Ground> => {
  const block = await reserveBlock()
  const scope = Scope.makeUnsafe()
  try {
    const ports = await Effect.runPromise(Layer.buildWithScope(Layer.provideMerge(layerUdp, layerClock), scope))
    return build(options, block, scope, Context.get(ports, Clock), Context.get(ports, Udp))
  } catch (error) {
    await giveBack(block, scope)
    throw error
  }
}

const build = (
  { topology, seed, onFailure }: GroundOptions,
  block: LoopbackBlock,
  scope: Scope.Closeable,
  clock: Clock["Service"],
  udp: Udp["Service"]
): Ground => {
  const kernel = new LiveKernel({ seed, clock, onFailure })
  const addresses = new LoopbackAddresses(topology, block.number)
  const network = new Network(kernel, addresses.topology)
  const outlets = new Outlets(udp, kernel)
  const close = async (): Promise<void> => {
    kernel.stop()
    await Effect.runPromise(outlets.closeAll)
    await giveBack(block, scope)
  }
  return { clock, kernel, addresses, network, outlets, close }
}

const giveBack = async (block: LoopbackBlock, scope: Scope.Closeable): Promise<void> => {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  await block.close()
}
