/** What a gateway can be told. */

import { TUNNEL_MTU } from "@horizon/core/machine/tunnel/parameters.ts"
import { LEASES_MAX } from "@horizon/core/machine/tunnel/pool.ts"
import { type ConfigOf, integer, port, text } from "@horizon/core/port/config.ts"
import { DATAGRAM_BYTES_MAX, SEALED_OVERHEAD_BYTES } from "@horizon/core/wire/header.ts"

/** The packet that fits the longest datagram before path discovery. */
const MTU_BYTES_MAX = DATAGRAM_BYTES_MAX - SEALED_OVERHEAD_BYTES

export const gatewaySettings = {
  name: text({ description: "Name of this gateway, shown to members.", default: "gateway" }),
  region: text({
    description: "Region shown to members, for example eu-central.",
    default: "",
    pattern: /^[a-z0-9-]{0,32}$/,
    expected: "at most 32 lower-case letters, digits and hyphens"
  }),
  brokerUrl: text({
    description: "Where the broker is: http://address:port.",
    default: "http://127.0.0.1:8420",
    pattern: /^https?:\/\/[^\s]+$/,
    expected: "a URL such as http://127.0.0.1:8420"
  }),
  brokerKey: text({
    description: "The broker's Ed25519 key in base64url; if left out, the first one seen is kept.",
    default: "",
    pattern: /^([A-Za-z0-9_-]{43})?$/,
    expected: "43 characters of base64url"
  }),
  registrationKey: text({
    description: "Key from the broker's administrator with which this gateway registers (hzr_…).",
    default: "",
    secret: true
  }),
  listenAddress: text({
    description: "Local address for members; every address of the host if left out.",
    default: ""
  }),
  port: port({ description: "UDP port for members; 0 = any free one.", default: 8421 }),
  advertiseAddress: text({
    description: "Address at which members reach this gateway; the listening address if left out.",
    default: ""
  }),
  advertisePort: port({
    description: "UDP port at which members reach this gateway; 0 = the listening port.",
    default: 0
  }),
  network: text({
    description: "IPv4 prefix (/16 to /29) whose addresses members get; the first one is the gateway's own.",
    default: "10.77.0.0/16",
    pattern: /^[0-9.]+\/[0-9]+$/,
    expected: "an IPv4 prefix such as 10.77.0.0/16"
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
    description: "Largest IP packet in the tunnel, bytes.",
    default: MTU_BYTES_MAX,
    minimum: TUNNEL_MTU.minimum,
    maximum: MTU_BYTES_MAX
  }),
  broadcastCopiesPerSecond: integer({
    description: "Copies of broadcast and multicast packets that one tenant may cause each second.",
    default: 20_000,
    minimum: 1,
    maximum: 10_000_000
  }),
  replayWindow: integer({
    description: "Packets by which one may be late and still be accepted.",
    default: 8_192,
    minimum: 64,
    maximum: 8_192
  }),
  reportSeconds: integer({
    description: "Traffic of open connections is reported to the broker this often, seconds.",
    default: 30,
    minimum: 5,
    maximum: 3_600
  }),
  sampleSeconds: integer({
    description: "The gateway's figures are written to the trace this often, seconds.",
    default: 10,
    minimum: 1,
    maximum: 3_600
  })
}

export type GatewayConfig = ConfigOf<typeof gatewaySettings>
