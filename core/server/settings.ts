/** What every kind of server can be told, and what every node that talks to the broker can. */

import { fromBase64Url } from "../api/base64url.ts"
import { assert } from "../assert.ts"
import { type ConfigOf, integer, port, text } from "../port/config.ts"

/** How the settings of one kind of server speak of it. */
export interface ServerWords {
  /** The node itself, as in "this gateway". */
  readonly node: string
  /** Those who connect to it, as in "shown to members". */
  readonly peers: string
}

/** Where the broker is and who it is. */
export const brokerLinkSettings = {
  brokerUrl: text({
    description: "Where the broker is: http://address:port.",
    default: "http://127.0.0.1:8420",
    pattern: /^https?:\/\/[^\s]+$/,
    expected: "a URL such as http://127.0.0.1:8420"
  }),
  brokerKey: text({
    description: "The broker's Ed25519 key in base64url; if left out, the first one seen is kept.",
    default: "",
    // 32 bytes leave two bits of the last character unused, and those are zero: one that was mistyped is not let through.
    pattern: /^([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])?$/,
    expected: "the 43 characters (base64url) that the broker shows as its key"
  })
}

/** The broker's key as an agent's option: none if none is pinned. */
export const pinnedBrokerKey = (config: { readonly brokerKey: string }): { readonly brokerKey?: Uint8Array } => {
  if (config.brokerKey === "") return {}
  const brokerKey = fromBase64Url(config.brokerKey)
  assert(brokerKey !== undefined, "a broker key that the setting lets through is base64url")
  return { brokerKey }
}

/** Where a socket listens; `purpose` completes "Local address …". */
export const listenAddress = (purpose: string) =>
  text({ description: `Local address ${purpose}; every address of the host if left out.`, default: "" })

/** Who the server is, where its broker is and where it is reached. */
export const serverSettings = (
  { node, peers }: ServerWords,
  defaults: { readonly name: string; readonly port: number }
) => ({
  name: text({ description: `Name of this ${node}, shown to ${peers}.`, default: defaults.name }),
  region: text({
    description: `Region shown to ${peers}, for example eu-central.`,
    default: "",
    pattern: /^[a-z0-9-]{0,32}$/,
    expected: "at most 32 lower-case letters, digits and hyphens"
  }),
  ...brokerLinkSettings,
  registrationKey: text({
    description: `Key from the broker's administrator with which this ${node} registers (hzr_…).`,
    default: "",
    secret: true
  }),
  listenAddress: listenAddress(`for ${peers}`),
  port: port({ description: `UDP port for ${peers}; 0 = any free one.`, default: defaults.port }),
  advertiseAddress: text({
    description: `Address at which ${peers} reach this ${node}; the listening address if left out.`,
    default: ""
  }),
  advertisePort: port({
    description: `UDP port at which ${peers} reach this ${node}; 0 = the listening port.`,
    default: 0
  })
})

/** How often a node writes its figures to the trace. */
export const sampleSeconds = (node: string, usual: number) =>
  integer({
    description: `The ${node}'s figures are written to the trace this often, seconds.`,
    default: usual,
    minimum: 1,
    maximum: 3_600
  })

/** How far packets may be late, and how often the server tells of itself. */
export const sessionSettings = (
  { node }: ServerWords,
  defaults: { readonly replayWindow: number; readonly sampleSeconds: number }
) => ({
  replayWindow: integer({
    description: "Packets by which one may be late and still be accepted.",
    default: defaults.replayWindow,
    minimum: 64,
    maximum: 8_192
  }),
  reportSeconds: integer({
    description: "Traffic of open connections is reported to the broker this often, seconds.",
    default: 30,
    minimum: 5,
    maximum: 3_600
  }),
  sampleSeconds: sampleSeconds(node, defaults.sampleSeconds)
})

/** What every server's configuration holds. */
export type ServerConfig = ConfigOf<ReturnType<typeof serverSettings> & ReturnType<typeof sessionSettings>>
