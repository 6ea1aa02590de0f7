/** What a client can be told. */

import { type ConfigOf, port, text } from "@horizon/core/port/config.ts"
import { brokerLinkSettings, listenAddress, sampleSeconds } from "@horizon/core/server/settings.ts"

export const clientSettings = {
  ...brokerLinkSettings,
  personalKey: text({
    description: "Personal key from the broker's administrator (hzp_…); if left out, the one that was used last.",
    default: "",
    secret: true
  }),
  server: text({
    description: "Id or name of the one gateway to use; if left out, the nearest one.",
    default: ""
  }),
  listenAddress: listenAddress("of the tunnel's UDP socket"),
  port: port({ description: "Local UDP port of the tunnel; 0 = any free one.", default: 0 }),
  interface: text({
    description: "Name of the virtual network interface.",
    default: "horizon0",
    pattern: /^[a-z][a-z0-9_.-]{0,14}$/,
    expected: "1 to 15 lower-case letters, digits, dots, hyphens and underscores, a letter first"
  }),
  sampleSeconds: sampleSeconds("client", 10)
}

export type ClientConfig = ConfigOf<typeof clientSettings>
