/** What a client can be told. */

import { type ConfigOf, port, text } from "@horizon/core/port/config.ts"

export const clientSettings = {
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
  personalKey: text({
    description: "Personal key from the broker's administrator (hzp_…); if left out, the one that was used last.",
    default: "",
    secret: true
  }),
  server: text({
    description: "Id or name of the one gateway to use; if left out, the nearest one.",
    default: ""
  }),
  listenAddress: text({
    description: "Local address of the tunnel's UDP socket; every address of the host if left out.",
    default: ""
  }),
  port: port({ description: "Local UDP port of the tunnel; 0 = any free one.", default: 0 }),
  interface: text({
    description: "Name of the virtual network interface.",
    default: "horizon0",
    pattern: /^[a-z][a-z0-9_.-]{0,14}$/,
    expected: "1 to 15 lower-case letters, digits, dots, hyphens and underscores, a letter first"
  })
}

export type ClientConfig = ConfigOf<typeof clientSettings>
