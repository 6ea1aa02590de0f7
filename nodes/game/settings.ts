/** What a game server can be told. */

import { type ConfigOf, integer, port, text } from "@horizon/core/port/config.ts"

export const gameSettings = {
  name: text({ description: "Name of this game server, shown to players.", default: "game" }),
  region: text({
    description: "Region shown to players, for example eu-central.",
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
    description: "Key from the broker's administrator with which this game server registers (hzr_…).",
    default: "",
    secret: true
  }),
  listenAddress: text({
    description: "Local address for players; every address of the host if left out.",
    default: ""
  }),
  port: port({ description: "UDP port for players; 0 = any free one.", default: 8422 }),
  advertiseAddress: text({
    description: "Address at which players reach this game server; the listening address if left out.",
    default: ""
  }),
  advertisePort: port({
    description: "UDP port at which players reach this game server; 0 = the listening port.",
    default: 0
  }),
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
  replayWindow: integer({
    description: "Packets by which one may be late and still be accepted.",
    default: 64,
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
    description: "The game server's figures are written to the trace this often, seconds.",
    default: 1,
    minimum: 1,
    maximum: 3_600
  })
}

export type GameConfig = ConfigOf<typeof gameSettings>
