import { toBase64Url } from "@horizon/core/api/base64url.ts"
import { deviceId } from "@horizon/core/crypto/identity.ts"
import { nobleCrypto } from "@horizon/core/crypto/noble.ts"
import { RIGHT, verifyTicket } from "@horizon/core/wire/ticket.ts"
import { describe, expect, test } from "vitest"
import { ADMIN, ANNA, BERT } from "./broker-world.contract.ts"
import { beat, boot, identity, issued, metrics, problemOf, registered, signed, ticket } from "./by-hand.contract.ts"

describe("tickets", () => {
  test("a ticket verifies offline with the broker's key, for that server and device, with the rights of key and kind", () => {
    const world = boot({ ticketLifetimeMs: 60_000 })
    const one = registered(world, 1)
    const answer = issued(world, ANNA, 20, one.serverId)
    const now = world.nowMs()
    const verdict = verifyTicket(nobleCrypto, one.brokerKey, answer.ticket, now, identity(1).publicKey)
    if (!verdict.ok) throw new Error(`refused: ${verdict.reason}`)
    expect(verdict.ticket).toMatchObject({
      user: "anna",
      tenant: "home",
      rights: RIGHT.tunnel,
      expiresMs: answer.expiresMs
    })
    expect(verdict.ticket.devicePublicKey).toEqual(identity(20).publicKey)
    expect(verdict.ticket.expiresMs - verdict.ticket.issuedMs).toBe(60_000)
    expect(verifyTicket(nobleCrypto, one.brokerKey, answer.ticket, now, identity(2).publicKey).ok).toBe(false)
    expect(verifyTicket(nobleCrypto, one.brokerKey, answer.ticket, now + 60_000, identity(1).publicKey).ok).toBe(false)
    expect(answer.server.record.id).toBe(one.serverId)
  })

  test("a ticket does not outlive the personal key that it comes from", () => {
    const world = boot({ ticketLifetimeMs: 600_000 })
    const one = registered(world, 1)
    const payload = { user: "carla", tenant: "home", rights: 3, lifeMs: 30_000 }
    const made = world.call(ADMIN, (client) => client.admin.createPersonalKey({ payload }))
    expect(issued(world, made.key, 20, one.serverId).expiresMs).toBe(made.expiresMs)
  })

  test("each thing that is wrong with a request for a ticket has its own refusal", () => {
    const world = boot()
    const one = registered(world, 1)
    const game = registered(world, 2, { kind: "game" })
    const refused = (key: string, n: number, serverId: string, signedMs = world.nowMs(), seed = identity(n).seed) =>
      world.call(key, (client) => problemOf(ticket(client, key, n, serverId, signedMs, seed))).reason
    const payload = { user: "carla", tenant: "home", rights: RIGHT.tunnel, devicesMax: 1 }
    const { key } = world.call(ADMIN, (client) => client.admin.createPersonalKey({ payload }))
    expect(refused(ANNA, 20, "0".repeat(32))).toBe("server-unknown")
    expect(refused(ANNA, 20, one.serverId, world.nowMs(), identity(21).seed)).toBe("proof-invalid")
    expect(refused(ANNA, 20, one.serverId, world.nowMs() - 61_000)).toBe("clock-skew")
    expect(refused(key, 20, game.serverId)).toBe("right-missing")
    issued(world, key, 20, one.serverId)
    issued(world, key, 20, one.serverId)
    expect(refused(key, 21, one.serverId)).toBe("device-limit")
    world.call(ADMIN, (client) => client.admin.revokeServer({ params: { id: one.serverId } }))
    expect(refused(ANNA, 20, one.serverId)).toBe("server-unknown")
  })

  test("a proof made under one personal key is worthless under another", () => {
    const world = boot()
    const one = registered(world, 1)
    const reason = world.call(BERT, (client) => problemOf(ticket(client, ANNA, 20, one.serverId, world.nowMs()))).reason
    expect(reason).toBe("proof-invalid")
  })

  test("when a personal key is revoked its live tickets reach the servers that they name, once each", () => {
    const world = boot()
    const one = registered(world, 1)
    const two = registered(world, 2)
    const a = issued(world, ANNA, 20, one.serverId)
    const b = issued(world, ANNA, 21, one.serverId)
    issued(world, ANNA, 20, two.serverId)
    issued(world, BERT, 22, one.serverId)
    const { keys } = world.call(ADMIN, (client) => client.admin.listPersonalKeys({ query: {} }))
    const anna = keys.find((each) => each.user === "anna")!
    expect(anna.devices).toBe(2)
    const revoked = world.call(ADMIN, (client) =>
      client.admin.revokePersonalKey({ params: { id: toBase64Url(anna.id) } })
    )
    expect(revoked.tickets).toBe(3)
    const heard = signed(world, one, 0, beat).revoked
    expect(heard.map((each) => toBase64Url(each.ticketId)).sort()).toEqual(
      [a, b].map((each) => toBase64Url(each.ticketId)).sort()
    )
    expect(heard.map((each) => each.deviceId)).toContain(deviceId(nobleCrypto, identity(20).publicKey))
    const highest = Math.max(...heard.map((each) => each.number))
    const after = signed(world, one, 1, (client) =>
      client.serverLink.heartbeat({ payload: { metrics, revocationsAfter: highest } })
    )
    expect(after.revoked).toEqual([])
  })

  test("expired tickets leave the store and the revocation list", () => {
    const world = boot({ ticketLifetimeMs: 5_000, sweepIntervalMs: 500 })
    const one = registered(world, 1)
    issued(world, ANNA, 20, one.serverId)
    expect(world.call(ADMIN, (client) => client.admin.status()).ticketsValid).toBe(1)
    world.advance(6_000)
    const rows = world.station("broker").disk.database().run("SELECT COUNT(*) FROM tickets", []).rows
    expect(rows).toEqual([[0]])
  })
})
