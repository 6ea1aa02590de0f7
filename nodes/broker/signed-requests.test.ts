import { toBase64Url } from "@horizon/core/api/base64url.ts"
import type { Problem } from "@horizon/core/api/problem.ts"
import { Effect, Result } from "effect"
import { describe, expect, test } from "vitest"
import { ADMIN, ANNA, BERT } from "./broker-world.contract.ts"
import { beat, boot, type Forgery, issued, listed, metrics, problemOf, registered, signed } from "./by-hand.contract.ts"

describe("signed requests", () => {
  test("a heartbeat keeps the figures and answers with the time and the next date", () => {
    const world = boot({ heartbeatIntervalMs: 4_000 })
    const one = registered(world, 1)
    world.advance(1_000)
    const answer = signed(world, one, 0, beat)
    expect(answer).toMatchObject({ nextMs: 4_000, revoked: [], more: false })
    const [entry] = listed(world)
    expect(entry.metrics).toEqual(metrics)
    expect(Math.abs(entry.lastHeardMs - answer.brokerNowMs)).toBeLessThan(5)
  })

  test.each<[string, Forgery]>([
    ["by another key", { seed: new Uint8Array(32).fill(9) }],
    ["for another session", { session: new Uint8Array(16) }],
    ["for another path", { path: "/api/v1/servers/deregister" }],
    ["for another body", { body: "{}" }]
  ])("a signature %s is refused", (_, forgery) => {
    const world = boot()
    const one = registered(world, 1)
    const refused = signed(world, one, 0, (client) => problemOf(beat(client)), forgery)
    expect([refused.status, refused.reason]).toEqual([401, "signature-invalid"])
    expect(listed(world)[0].metrics).toBe(null)
  })

  test("a request that was accepted is not accepted again, nor one with a lower counter, and the answer tells the highest", () => {
    const world = boot()
    const one = registered(world, 1)
    signed(world, one, 7, beat)
    for (const counter of [7, 6, 0]) {
      const refused = signed(world, one, counter, (client) => problemOf(beat(client)))
      expect([refused.status, refused.reason, "counter" in refused && refused.counter]).toEqual([
        409,
        "counter-replayed",
        7
      ])
    }
    signed(world, one, 8, beat)
  })

  test("of two copies of one request at once, exactly one is accepted", () => {
    const world = boot()
    const one = registered(world, 1)
    const outcomes = signed(world, one, 3, (client) =>
      Effect.all([Effect.result(beat(client)), Effect.result(beat(client))], { concurrency: 2 })
    )
    expect(outcomes.filter(Result.isSuccess)).toHaveLength(1)
    expect((outcomes.find(Result.isFailure)!.failure as Problem).reason).toBe("counter-replayed")
  })

  test("a request from too long ago or ahead is refused with the broker's time, and moves nothing", () => {
    const world = boot()
    const one = registered(world, 1)
    for (const byMs of [-61_000, 61_000]) {
      const timeMs = world.nowMs() + byMs
      const refused = signed(world, one, 5, (client) => problemOf(beat(client)), { timeMs })
      expect([refused.status, refused.reason]).toEqual([401, "clock-skew"])
      expect(Math.abs(("brokerNowMs" in refused ? refused.brokerNowMs! : 0) - world.nowMs())).toBeLessThan(20)
    }
    signed(world, one, 5, beat, { timeMs: world.nowMs() - 59_000 })
  })

  test("the header must be complete and the server known", () => {
    const world = boot()
    const one = registered(world, 1)
    const bare = world.call("whatever", (client) => problemOf(beat(client)))
    expect(bare.reason).toBe("credential-missing")
    const unknown = signed(world, { ...one, serverId: "0".repeat(32) }, 0, (client) => problemOf(beat(client)))
    expect([unknown.status, unknown.reason]).toEqual([404, "server-unknown"])
  })

  test("a server that deregisters is listed no more and unknown, until it registers again", () => {
    const world = boot()
    const one = registered(world, 1)
    signed(world, one, 0, (client) => client.serverLink.deregister())
    expect(listed(world)).toEqual([])
    expect(signed(world, one, 1, (client) => problemOf(beat(client))).reason).toBe("server-unknown")
    registered(world, 1)
    expect(listed(world)).toHaveLength(1)
  })
})

test("after a crash the broker still knows servers, sessions, counters, revocations and connections", () => {
  const world = boot()
  const one = registered(world, 1)
  signed(world, one, 4, beat)
  issued(world, ANNA, 20, one.serverId)
  const { keys } = world.call(ADMIN, (client) => client.admin.listPersonalKeys({ query: {} }))
  const anna = keys.find((each) => each.user === "anna")!
  world.call(ADMIN, (client) => client.admin.revokePersonalKey({ params: { id: toBase64Url(anna.id) } }))
  world.killBroker()
  expect(world.startBroker()).toBe(undefined)
  expect(signed(world, one, 4, (client) => problemOf(beat(client))).reason).toBe("counter-replayed")
  expect(signed(world, one, 5, beat).revoked).toHaveLength(1)
  expect(world.call(BERT, (client) => client.members.listServers({ query: {} })).servers).toHaveLength(1)
})

test("the same seed gives the same run, to the last event", () => {
  const run = (): string => {
    const world = boot()
    const one = registered(world, 1)
    signed(world, one, 0, beat)
    issued(world, ANNA, 20, one.serverId)
    world.advance(30_000)
    return `${world.kernel.digest.hex()} ${world.kernel.events} ${JSON.stringify(world.trace.events)}`
  }
  expect(run()).toBe(run())
})
