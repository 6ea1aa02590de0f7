import { Party } from "@horizon/core/machine/game/party.fixture.ts"
import type { Player } from "@horizon/core/machine/game/player.ts"
import { Rng } from "@horizon/sim/kernel/rng.ts"
import { expect, test } from "vitest"
import { Pilot } from "./pilot.ts"

const play = (seed: number, speedPercent = 100, leashM = 40): Party => {
  const pilots = new Map<Player, Pilot>()
  const party = new Party({
    players: 6,
    seed,
    delayNs: 10_000_000,
    jitterNs: 0,
    lossPpm: 0,
    steer: (player, intent, _, index) => {
      const pilot = pilots.get(player) ?? new Pilot({ random: new Rng(seed, `pilot ${index}`), speedPercent, leashM })
      pilots.set(player, pilot)
      pilot.steer(player, intent)
    }
  })
  party.open()
  party.run(60e9)
  return party
}

test("pilots move, stay within their leash, and never claim more than the greatest speed", () => {
  const party = play(1)
  const { world } = party.server
  expect(world.inputsCut).toBe(0)
  expect(world.inputsUnpaid).toBe(0)
  for (const player of party.players) {
    expect(Math.abs(player.sight.ownXUm)).toBeLessThan(46e6)
    expect(Math.abs(player.sight.ownYUm)).toBeLessThan(46e6)
  }
  const spread = new Set(party.players.map((player) => player.sight.ownXUm))
  expect(spread.size).toBe(6)
})

test("the same seed walks the same way, another seed another", () => {
  const places = (seed: number) => [...play(seed).server.world.xUm]
  expect(places(3)).toEqual(places(3))
  expect(places(3)).not.toEqual(places(4))
})

test("a pilot that cheats claims too much", () => {
  expect(play(1, 200).server.world.inputsCut).toBeGreaterThan(6 * 60 * 20)
})
