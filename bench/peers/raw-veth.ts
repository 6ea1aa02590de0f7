/** No tunnel at all: the pair's own veth, which everything else runs over. */

import type { Peer } from "./peer.ts"

const ETHERNET_MTU_BYTES = 1500

export const rawVeth: Peer = {
  name: "raw-veth",
  title: "veth itself",
  kind: "path",
  prepare: async () => ({ version: "of the running kernel" }),
  start: async ({ a, b }) => ({
    addresses: { a: a.address, b: b.address },
    mtuBytes: ETHERNET_MTU_BYTES,
    processes: [],
    stop: async () => {}
  })
}
