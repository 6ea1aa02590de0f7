/** What a game server can be told. */

import { type ConfigOf, integer } from "@horizon/core/port/config.ts"
import { type ServerWords, serverSettings, sessionSettings } from "@horizon/core/server/settings.ts"

/** How settings and messages speak of it. */
export const GAME_WORDS: ServerWords = { node: "game server", peers: "players" }

export const gameSettings = {
  ...serverSettings(GAME_WORDS, { name: "game", port: 8422 }),
  playersMax: integer({ description: "Most players at once.", default: 256, minimum: 1, maximum: 10_000 }),
  tickRateHz: integer({
    description: "Ticks of the world, and inputs of each player, per second.",
    default: 60,
    minimum: 10,
    maximum: 240
  }),
  snapshotEvery: integer({
    description: "Ticks between two snapshots to one player.",
    default: 2,
    minimum: 1,
    maximum: 60
  }),
  worldHalfM: integer({
    description: "The world reaches from minus to plus this on both axes, metres.",
    default: 500,
    minimum: 10,
    maximum: 60_000
  }),
  spawnHalfM: integer({
    description: "Players appear within minus and plus this on both axes, metres.",
    default: 50,
    minimum: 1,
    maximum: 60_000
  }),
  radiusM: integer({
    description: "A player sees others that are nearer than this, metres.",
    default: 100,
    minimum: 5,
    maximum: 130
  }),
  hysteresisM: integer({
    description: "Others vanish only when they are farther than radiusM by this, metres.",
    default: 15,
    minimum: 0,
    maximum: 100
  }),
  visibleMax: integer({
    description: "Most others in one player's sight; of more, the nearest.",
    default: 256,
    minimum: 1,
    maximum: 4_096
  }),
  maxSpeedMmS: integer({
    description: "Greatest speed of a player, millimetres per second.",
    default: 6_000,
    minimum: 1,
    maximum: 1_000_000
  }),
  creditMs: integer({
    description: "Movement that a player may catch up at once after its path has stalled, milliseconds.",
    default: 500,
    minimum: 50,
    maximum: 5_000
  }),
  ...sessionSettings(GAME_WORDS, { replayWindow: 64, sampleSeconds: 1 })
}

export type GameConfig = ConfigOf<typeof gameSettings>
