import { BrokerCallError } from "@horizon/core/api/broker-client.ts"
import { describeClose } from "@horizon/core/machine/session/reasons.ts"
import { CLOSE } from "@horizon/core/machine/session/session.ts"
import { expect, test } from "vitest"
import { brokerSetback, deadTunnel, lostSession } from "./setback.ts"

test("every close reason is told in words that say what to do, and is tried again soon or later", () => {
  for (const reason of Object.values(CLOSE)) {
    const setback = lostSession(reason, "gw-1", true)
    expect(setback.detail).toBe(`gw-1: ${describeClose(reason)}`)
    expect(["soon", "later", "elsewhere"]).toContain(setback.again)
  }
})

test("a refused ticket from the cache is replaced at once; a fresh one that is refused too needs a person", () => {
  for (const reason of [CLOSE.ticketInvalid, CLOSE.ticketWrongServer, CLOSE.deviceInvalid, CLOSE.ticketExpired])
    expect(lostSession(reason, "gw", false)).toMatchObject({ state: "reconnecting", again: "soon", dropTicket: true })
  expect(lostSession(CLOSE.ticketInvalid, "gw", true)).toMatchObject({
    state: "refused",
    again: "later",
    dropTicket: true
  })
})

test("a gateway whose clock refuses a fresh ticket is left for another one, and asked again soon if there is none", () => {
  for (const reason of [CLOSE.ticketExpired, CLOSE.ticketNotYetValid])
    expect(lostSession(reason, "gw", true)).toMatchObject({
      state: "refused",
      again: "soon",
      avoidServer: true,
      dropTicket: true
    })
})

test("a lost session is no refusal and keeps its ticket and its gateway", () => {
  for (const reason of [CLOSE.timeout, CLOSE.shutdown, CLOSE.handshakeTimeout, CLOSE.limit, CLOSE.normal])
    expect(lostSession(reason, "gw", true)).toMatchObject({
      state: "reconnecting",
      again: "soon",
      dropTicket: false,
      avoidServer: false
    })
})

test("a gateway that refuses this member is left alone, and another one is tried if there is one", () => {
  for (const reason of [CLOSE.full, CLOSE.forbidden, CLOSE.serverInvalid, CLOSE.noCommonSuite])
    expect(lostSession(reason, "gw", true)).toMatchObject({ state: "refused", again: "elsewhere", avoidServer: true })
})

test("a device that was replaced does not throw the other one out again", () => {
  expect(lostSession(CLOSE.replaced, "gw", true)).toMatchObject({ state: "refused", again: "later" })
})

test("a tunnel that never answered is tried elsewhere, one that did is tried again at the same gateway", () => {
  expect(deadTunnel("gw", false).avoidServer).toBe(true)
  expect(deadTunnel("gw", true).avoidServer).toBe(false)
})

test("a broker that cannot be reached is waited for, one that refuses needs a person", () => {
  const error = (passing: boolean) => new BrokerCallError({ reason: "timeout", passing, message: "what to do" })
  expect(brokerSetback(error(true))).toMatchObject({ state: "contacting-broker", again: "soon", detail: "what to do" })
  expect(brokerSetback(error(false))).toMatchObject({ state: "refused", again: "later", detail: "what to do" })
})
