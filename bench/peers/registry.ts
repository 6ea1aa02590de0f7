/** All that the tunnel benchmark can compare, in the order in which tables show it. */

import { horizon, horizonNarrow } from "./horizon.ts"
import { nebula } from "./nebula.ts"
import { openvpnAes, openvpnChacha20 } from "./openvpn.ts"
import type { Peer } from "./peer.ts"
import { rawVeth } from "./raw-veth.ts"
import { tunPlain, tunTso, tunUso } from "./tun-floor.ts"
import { tunnelOffload, tunnelOffloadWide, tunnelPlain } from "./tunnel-floor.ts"
import { boringtun, wireguardGo } from "./wireguard.ts"

export const PEERS: ReadonlyArray<Peer> = [
  rawVeth,
  tunPlain,
  tunTso,
  tunUso,
  tunnelPlain,
  tunnelOffload,
  tunnelOffloadWide,
  openvpnChacha20,
  openvpnAes,
  wireguardGo,
  boringtun,
  nebula,
  horizonNarrow,
  horizon
]
