/** What the node commands can be told: the node's own settings, and what every node's command takes besides the node's own settings: where its data lies and how it logs. */

import { type Settings, text } from "@horizon/core/port/config.ts"
import type { LogLevel, LogOptions } from "@horizon/real/log.ts"
import type { NodeName } from "./node.ts"
import type { Screen } from "./screen.ts"

const hostSettings = (node: string) => ({
  dataDirectory: text({
    description: `Directory for what the ${node} keeps: its identity and other keys${node === "broker" ? ", and the store" : ""}.`,
    default: `horizon-data/${node}`
  }),
  logLevel: text({
    description: "Lowest level that is logged: trace, debug, info, warn or error.",
    pattern: /^(trace|debug|info|warn|error)$/,
    expected: "trace, debug, info, warn or error",
    default: "info"
  }),
  logFormat: text({
    description: "How log lines look: json, pretty, or auto (pretty on a terminal, else json).",
    pattern: /^(auto|json|pretty)$/,
    expected: "auto, json or pretty",
    default: "auto"
  })
})

/** The setting that only the broker has. */
const storeSetting = {
  store: text({
    description: "Store as file:PATH; if left out, broker.db in the data directory.",
    default: ""
  })
}

/** Settings of a node and of its host, in the order of help. */
export const settingsOf = async (name: NodeName): Promise<Settings> => {
  const host = hostSettings(name)
  switch (name) {
    case "broker":
      return { ...(await import("@horizon/broker/settings.ts")).brokerSettings, ...storeSetting, ...host }
    case "gateway":
      return { ...(await import("@horizon/gateway/settings.ts")).gatewaySettings, ...host }
    case "client":
      return { ...(await import("@horizon/client/settings.ts")).clientSettings, ...host }
    case "game":
      return { ...(await import("@horizon/game/settings.ts")).gameSettings, ...host }
  }
}

/** Log lines of a node on the screen's standard error. */
export const logOptions = (node: string, level: string, format: string, screen: Screen): LogOptions => ({
  node,
  level: level as LogLevel,
  format: format === "auto" ? (screen.interactive ? "pretty" : "json") : (format as "json" | "pretty"),
  color: screen.colorErr,
  write: screen.err
})
