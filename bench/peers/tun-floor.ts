/** A bare TUN forwarder in C (bench/floor/tun-floor.c): one process with a device in each namespace. */

import { floorProgram } from "../floor/floor.ts"
import { Child } from "../net/child.ts"
import { configureDevice, ENDS, INNER, type Peer, preparing } from "./peer.ts"

const MTU_BYTES = 1500

const tunFloor = (mode: "plain" | "tso" | "uso", title: string): Peer => ({
  name: `tun-${mode}`,
  title,
  kind: "path",
  prepare: () => preparing(() => floorProgram("tun-floor").then(() => ({ version: "of this commit" }))),
  start: async (pair) => {
    const deviceOf = (end: "a" | "b"): string => `${pair.id}t${end}`
    const place = (end: "a" | "b"): string => `${pair[end].namespace}:${deviceOf(end)}`
    const child = Child.start({
      name: `tun-floor ${mode}`,
      command: [await floorProgram("tun-floor"), "--a", place("a"), "--b", place("b"), "--mode", mode]
    })
    try {
      await child.line((line) => line.startsWith('{"ready"'))
      for (const end of ENDS) await configureDevice(pair[end], deviceOf(end), INNER[end], MTU_BYTES)
    } catch (error) {
      await child.stop()
      throw error
    }
    return {
      addresses: INNER,
      mtuBytes: MTU_BYTES,
      processes: [{ pid: child.pid, end: "both" }],
      stop: () => child.stop()
    }
  }
})

export const tunPlain = tunFloor("plain", "bare TUN forwarder")
export const tunTso = tunFloor("tso", "bare TUN forwarder, TSO")
export const tunUso = tunFloor("uso", "bare TUN forwarder, TSO and USO")
