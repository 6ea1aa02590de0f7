import { toBase64Url, utf8 } from "@horizon/core/api/base64url.ts"
import type { ConnectionReport } from "@horizon/core/api/connection.ts"
import { formatCredential, requestProof } from "@horizon/core/api/proof.ts"
import { nobleCrypto } from "@horizon/core/crypto/noble.ts"
import { Effect } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { describe, expect, test } from "vitest"
import { ADMIN, type BrokerWorld } from "./broker-world.contract.ts"
import { boot, identity, registered, type Standing, signed } from "./by-hand.contract.ts"

describe("connections", () => {
  const report = (
    world: BrokerWorld,
    connectionId: number,
    change: Partial<ConnectionReport> = {}
  ): ConnectionReport => ({
    event: "opened",
    connectionId,
    openedMs: 1_000,
    deviceId: "a".repeat(32),
    user: "anna",
    tenant: "home",
    peer: { address: "192.0.2.1", port: 5_000 },
    atMs: world.nowMs(),
    reason: "",
    bytesIn: 0,
    bytesOut: 0,
    ...change
  })
  const send = (world: BrokerWorld, who: Standing, counter: number, reports: ReadonlyArray<ConnectionReport>) =>
    signed(world, who, counter, (client) => client.serverLink.reportConnections({ payload: { reports } }))
  const all = (world: BrokerWorld, query = {}) =>
    world.call(ADMIN, (client) => client.admin.listConnections({ query })).connections

  test("a connection is recorded when it opens, kept up to date, and closed with its reason", () => {
    const world = boot()
    const one = registered(world, 1)
    send(world, one, 0, [report(world, 5), report(world, 6)])
    world.advance(1_000)
    send(world, one, 1, [
      report(world, 5, { event: "alive", bytesIn: 10 }),
      report(world, 6, { event: "closed", reason: "timeout" })
    ])
    const [open] = all(world, { state: "open" })
    expect(open).toMatchObject({ connectionId: 5, serverName: "gateway-1", user: "anna", bytesIn: 10, closedMs: null })
    const [closed] = all(world, { state: "closed" })
    expect(closed).toMatchObject({ connectionId: 6, reason: "timeout", closedMs: expect.any(Number) })
    expect(world.call(ADMIN, (client) => client.admin.status()).connectionsOpen).toBe(1)
  })

  test("reports that come twice, late or out of order change nothing, and a closed connection stays closed", () => {
    const world = boot()
    const one = registered(world, 1)
    const opened = report(world, 5)
    world.advance(10)
    const closed = report(world, 5, { event: "closed", reason: "normal", bytesIn: 9 })
    send(world, one, 0, [closed])
    send(world, one, 1, [opened, closed])
    world.advance(10)
    send(world, one, 2, [report(world, 5, { event: "alive" })])
    expect(all(world).map((each) => [each.state, each.reason, each.bytesIn])).toEqual([["closed", "normal", 9]])
  })

  test("a connection of which nobody speaks is closed as stale, and lives again when its server speaks of it", () => {
    const world = boot({ connectionStaleMs: 5_000, sweepIntervalMs: 1_000 })
    const one = registered(world, 1)
    send(world, one, 0, [report(world, 5)])
    world.advance(7_000)
    expect(all(world)[0]).toMatchObject({ state: "closed", reason: "stale" })
    expect(world.events("broker.stale-connections-closed").map((event) => event.fields.count)).toEqual([1])
    send(world, one, 1, [report(world, 5, { event: "alive" })])
    expect(all(world)[0]).toMatchObject({ state: "open", reason: "", closedMs: null })
  })

  test("records of closed connections are forgotten after their time", () => {
    const world = boot({ connectionHistoryMs: 60_000, sweepIntervalMs: 1_000 })
    const one = registered(world, 1)
    send(world, one, 0, [report(world, 5, { event: "closed" }), report(world, 6)])
    world.advance(62_000)
    expect(all(world).map((each) => each.connectionId)).toEqual([6])
  })

  test("a batch over the limit is refused as a whole by the broker", () => {
    const world = boot()
    const one = registered(world, 1)
    const body = JSON.stringify({ reports: Array.from({ length: 257 }, (_, i) => report(world, i)) })
    const timeMs = world.nowMs()
    const path = "/api/v1/connections/report"
    const message = requestProof({
      ...one,
      counter: 0,
      timeMs,
      method: "POST",
      path,
      bodySha256: nobleCrypto.sha256(utf8(body))
    })
    const signature = toBase64Url(nobleCrypto.ed25519Sign(identity(1).seed, message))
    const credential = formatCredential({ serverId: one.serverId, counter: 0, timeMs, signature })
    const request = HttpClientRequest.post(`${world.url}${path}`).pipe(
      HttpClientRequest.setHeader("authorization", `Horizon-Server ${credential}`),
      HttpClientRequest.bodyText(body, "application/json")
    )
    const answer = world.on(
      "one",
      Effect.flatMap(HttpClient.execute(request), (response) => response.json)
    )
    expect(answer).toMatchObject({ status: 400, errors: [{ path: ["payload", "reports"] }] })
    expect(all(world)).toEqual([])
  })

  test("one server's connections are not another's, though their numbers are the same", () => {
    const world = boot()
    const one = registered(world, 1)
    const two = registered(world, 2)
    send(world, one, 0, [report(world, 5)])
    send(world, two, 0, [report(world, 5, { event: "closed", reason: "normal" })])
    expect(all(world, { serverId: one.serverId }).map((each) => each.state)).toEqual(["open"])
    expect(all(world, { serverId: two.serverId }).map((each) => each.state)).toEqual(["closed"])
  })
})
