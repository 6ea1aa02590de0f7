/** What a gateway can be told. */

import { TUNNEL_MTU } from "@horizon/core/machine/tunnel/parameters.ts"
import { LEASES_MAX } from "@horizon/core/machine/tunnel/pool.ts"
import { type ConfigOf, integer, text } from "@horizon/core/port/config.ts"
import { type ServerWords, serverSettings, sessionSettings } from "@horizon/core/server/settings.ts"
import { DATAGRAM_BYTES_MAX, SEALED_OVERHEAD_BYTES } from "@horizon/core/wire/header.ts"

/** The packet that fits the longest datagram that every path carries. */
const MTU_BYTES = DATAGRAM_BYTES_MAX - SEALED_OVERHEAD_BYTES
/** The packet that fits the longest datagram of an Ethernet path, over IPv6: 1,500 less 48 bytes of headers. */
const MTU_BYTES_MAX = 1_452 - SEALED_OVERHEAD_BYTES

/** How settings and messages speak of it. */
export const GATEWAY_WORDS: ServerWords = { node: "gateway", peers: "members" }

export const gatewaySettings = {
  ...serverSettings(GATEWAY_WORDS, { name: "gateway", port: 8421 }),
  network: text({
    description: "IPv4 prefix (/16 to /29) whose addresses members get; the first one is the gateway's own.",
    default: "10.77.0.0/16",
    pattern: /^[0-9.]+\/[0-9]+$/,
    expected: "an IPv4 prefix such as 10.77.0.0/16"
  }),
  interface: text({
    description:
      "Name of a virtual network interface that puts the gateway's own host into the network, with the first address; none if left out.",
    default: "",
    pattern: /^([a-z][a-z0-9_.-]{0,14})?$/,
    expected: "1 to 15 lower-case letters, digits, dots, hyphens and underscores, a letter first"
  }),
  leaseSeconds: integer({
    description: "How long a member's address is kept after its session has ended, seconds.",
    default: 86_400,
    minimum: 1,
    maximum: 31_536_000
  }),
  leasesMax: integer({
    description: "Most addresses that are in use or kept.",
    default: LEASES_MAX,
    minimum: 1,
    maximum: LEASES_MAX
  }),
  sessionsMax: integer({
    description: "Most members connected at once.",
    default: 4_096,
    minimum: 1,
    maximum: LEASES_MAX
  }),
  mtuBytes: integer({
    description: `Largest IP packet in the tunnel, bytes. More than ${MTU_BYTES} only where the way to every member carries UDP datagrams ${SEALED_OVERHEAD_BYTES} bytes longer.`,
    default: MTU_BYTES,
    minimum: TUNNEL_MTU.minimum,
    maximum: MTU_BYTES_MAX
  }),
  broadcastCopiesPerSecond: integer({
    description: "Copies of broadcast and multicast packets that one tenant may cause each second.",
    default: 20_000,
    minimum: 1,
    maximum: 10_000_000
  }),
  ...sessionSettings(GATEWAY_WORDS, { replayWindow: 8_192, sampleSeconds: 10 })
}

export type GatewayConfig = ConfigOf<typeof gatewaySettings>
