/** `horizon up`: a whole Horizon on this machine, until Ctrl-C. */

import { EXIT } from "@horizon/core/measure/run.ts"
import * as Effect from "effect/Effect"
import type { CommandSpec } from "./command.ts"

export const upCommand: CommandSpec = {
  name: "up",
  summary: "Run a broker, a gateway and a game server on this machine",
  description: [
    "Runs a broker, a gateway and a game server in one process, with all their data in one directory, and prints their addresses.",
    "The first start makes an administrator's token and a personal key and shows them, once. A node that crashes is started again.",
    "Runs until Ctrl-C or SIGTERM, then shuts down cleanly and exits with 0.\n\n" +
      `Exit codes: ${EXIT.usage} bad use, ${EXIT.corrupt} damaged identity or store, ${EXIT.unavailable} port in use, data directory in use or not usable.`
  ].join(" "),
  flags: [
    {
      name: "data",
      form: "text",
      metavar: "DIR",
      description: "Directory for everything that is kept [default: horizon-data]"
    },
    {
      name: "address",
      form: "text",
      metavar: "ADDRESS",
      description: "Address on which the nodes listen and are reached [default: 127.0.0.1]"
    },
    {
      name: "broker-port",
      form: "text",
      metavar: "N",
      description: "TCP port of the broker [default: its usual one, or any free one]"
    },
    {
      name: "gateway-port",
      form: "text",
      metavar: "N",
      description: "UDP port of the gateway [default: its usual one, or any free one]"
    },
    {
      name: "game-port",
      form: "text",
      metavar: "N",
      description: "UDP port of the game server [default: its usual one, or any free one]"
    },
    {
      name: "new-keys",
      form: "boolean",
      description: "Make a new administrator's token and a further personal key, and show them"
    },
    {
      name: "log-level",
      form: "text",
      metavar: "LEVEL",
      description: "trace, debug, info, warn or error [default: warn]"
    }
  ],
  examples: [
    { command: "horizon up", description: "Try Horizon on this machine" },
    {
      command: "horizon up --data /srv/horizon --address 192.168.1.10",
      description: "For the other machines of a local network"
    }
  ],
  stoppedExitCode: EXIT.pass,
  run: (input, screen) =>
    Effect.flatMap(
      Effect.promise(() => import("./up-program.ts")),
      ({ upProgram }) => upProgram(input, screen)
    )
}
