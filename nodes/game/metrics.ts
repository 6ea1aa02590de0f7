/** The figures of a game server: what an operator or a report wants to know, read at one moment. */

import type { ServerEndpoint } from "@horizon/core/machine/session/session.ts"
import type { TraceWriter } from "@horizon/core/port/trace.ts"
import { namedDrops } from "@horizon/core/wire/drop.ts"
import { GAME_DROP_NAMES } from "@horizon/core/wire/game/message.ts"
import type { Arena } from "./arena.ts"

/**
 * Writes the figures into the trace. Lateness and cost of ticks are of the time since the last sample, and begin anew; counts are
 * of the whole life of the server, and those of drops are left out while they are zero.
 */
export const traceSamples = (arena: Arena, endpoint: ServerEndpoint, trace: TraceWriter): void => {
  const { game, tickCost } = arena
  const sample = (name: string, value: number, unit: string): void => trace("sample", { name, value, unit })
  sample("game.sessions", arena.book.size, "sessions")
  sample("game.players", game.world.players.size, "players")
  sample("game.ticks", game.ticks, "ticks")
  sample("game.ticks-skipped", game.ticksSkipped, "ticks")
  sample("game.tick-late-p99", Math.round(game.lateness.percentile(99) / 1000), "us")
  sample("game.tick-late-max", Math.round(game.lateness.max / 1000), "us")
  sample("game.tick-cost-p50", Math.round(tickCost.percentile(50) / 1000), "us")
  sample("game.tick-cost-p99", Math.round(tickCost.percentile(99) / 1000), "us")
  sample("game.snapshots", game.snapshots, "snapshots")
  sample("game.inputs", game.world.inputsApplied, "inputs")
  sample("game.inputs-unpaid", game.world.inputsUnpaid, "inputs")
  sample("game.inputs-cut", game.world.inputsCut, "inputs")
  sample("game.views-compared", game.viewsChecked, "views")
  sample("game.views-unequal", game.viewsUnequal, "views")
  sample("game.views-restarted", game.viewsRestarted, "views")
  for (const [code, name] of GAME_DROP_NAMES.entries())
    if (game.drops[code] > 0) sample(`game.dropped.${name}`, game.drops[code], "messages")
  for (const [name, count] of Object.entries(namedDrops(endpoint.drops)))
    sample(`game.datagram-dropped.${name}`, count, "packets")
  game.lateness.reset()
  tickCost.reset()
}
