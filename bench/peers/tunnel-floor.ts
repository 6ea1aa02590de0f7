/** The tunnel in C (bench/floor/tunnel-floor.c): the ceiling that Horizon's own is compared with. */

import { floorProgram } from "../floor/floor.ts"
import { Child } from "../net/child.ts"
import type { Pair } from "../net/pair.ts"
import { configureDevice, ENDS, INNER, type Peer, preparing, type Tunnel } from "./peer.ts"

const UDP_PORT = 51_900
/** Horizon's before path discovery: datagrams of 1,200 bytes. */
const MTU_BYTES = 1_170
/** WireGuard's. */
const WIDE_MTU_BYTES = 1_420

type Mode = "plain" | "offload"

const tunnelFloor = (name: string, title: string, mode: Mode, mtuBytes: number): Peer => ({
  name,
  title,
  kind: "floor",
  prepare: () => preparing(() => floorProgram("tunnel-floor").then(() => ({ version: "of this commit" }))),
  start: (pair) => start(pair, mode, mtuBytes)
})

export const tunnelPlain = tunnelFloor("c-plain", "C tunnel, packet by packet", "plain", MTU_BYTES)
export const tunnelOffload = tunnelFloor("c-offload", "C tunnel, offloads, MTU 1170", "offload", MTU_BYTES)
export const tunnelOffloadWide = tunnelFloor(
  "c-offload-1420",
  "C tunnel, offloads, MTU 1420",
  "offload",
  WIDE_MTU_BYTES
)

const start = async (pair: Pair, mode: Mode, mtuBytes: number): Promise<Tunnel> => {
  const program = await floorProgram("tunnel-floor")
  const device = `${pair.id}t`
  const children: Array<Child> = []
  const stop = async (): Promise<void> => {
    for (const child of children) await child.stop()
  }
  try {
    for (const end of ENDS) {
      const other = end === "a" ? "b" : "a"
      const where = ["--bind", `${pair[end].address}:${UDP_PORT}`, "--peer", `${pair[other].address}:${UDP_PORT}`]
      const what = ["--tun", device, "--end", end, "--mode", mode, "--mtu", String(mtuBytes)]
      const child = Child.start({
        name: `tunnel-floor ${mode}, end ${end}`,
        command: [program, ...what, ...where],
        enter: pair[end].enter
      })
      children.push(child)
      await child.line((line) => line.startsWith('{"ready"'))
      await configureDevice(pair[end], device, INNER[end], mtuBytes)
    }
  } catch (error) {
    await stop()
    throw error
  }
  return {
    addresses: INNER,
    mtuBytes,
    processes: ENDS.map((end, index) => ({ pid: children[index].pid, end })),
    stop
  }
}
