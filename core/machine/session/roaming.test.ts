import { describe, expect, it } from "vitest"
import { stubCrypto } from "../../crypto/stub.ts"
import { DROP } from "../../wire/drop.ts"
import { type Flight, type LabClient, type LabOptions, PERFECT, SERVER, SessionLab } from "./session.fixture.ts"
import { CHANNEL, SEND } from "./session.ts"

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const isUp = (flight: Flight): boolean => flight.to.port === SERVER.port

const connected = (options: LabOptions = {}, crypto = stubCrypto): { lab: SessionLab; client: LabClient } => {
  const lab = new SessionLab(crypto, options)
  const client = lab.addClient()
  lab.establish(client)
  expect(client.machine.state).toBe("established")
  return { lab, client }
}

const sendUp = (lab: SessionLab, client: LabClient, text: string, channel: number = CHANNEL.tunnel): number => {
  const bytes = bytesOf(text)
  return client.machine.send(lab.nowNs, channel, bytes, 0, bytes.length)
}
const sendDown = (lab: SessionLab, session: number, text: string, channel: number = CHANNEL.tunnel): number => {
  const bytes = bytesOf(text)
  return lab.server.machine.send(lab.nowNs, session, channel, bytes, 0, bytes.length)
}

describe("roaming", () => {
  const moveTo = (lab: SessionLab, client: LabClient, address: string, port: number): void => {
    client.address = { address, port }
    expect(lab.network).toBe(PERFECT)
  }

  it("moves data to the new address after one round trip, without a new handshake", () => {
    const { lab, client } = connected()
    const id = client.machine.info()!.connectionId
    const from = client.address
    moveTo(lab, client, "10.0.7.7", 6001)
    sendUp(lab, client, "I am elsewhere")
    lab.run(lab.nowNs + 12e6)
    expect(sendDown(lab, 0, "to the old address")).toBe(SEND.ok)
    lab.run(lab.nowNs + 25e6)
    sendDown(lab, 0, "to the new address")
    lab.run(lab.nowNs + 20e6)
    expect(client.received.map(({ bytes }) => new TextDecoder().decode(bytes))).toEqual(["to the new address"])
    expect(lab.server.events.at(-1)).toEqual({ kind: "roamed", session: 0, connectionId: id, from, to: client.address })
    expect(lab.server.machine.info(0)?.peer).toEqual(client.address)
    expect(client.machine.info()?.connectionId).toBe(id)
  })

  it("happens by the heartbeat alone", () => {
    const { lab, client } = connected()
    moveTo(lab, client, "10.0.7.7", 6001)
    lab.run(lab.nowNs + 3e9)
    expect(lab.server.machine.info(0)?.peer).toEqual(client.address)
    lab.run(lab.nowNs + 30e9)
    expect(client.machine.state).toBe("established")
  })

  it("repeats a lost challenge", () => {
    const { lab, client } = connected()
    moveTo(lab, client, "10.0.7.7", 6001)
    let challenges = 0
    lab.network = (flight) => (flight.to.port === 6001 && ++challenges < 3 ? [] : [flight])
    sendUp(lab, client, "here")
    lab.run(lab.nowNs + 600e6)
    expect(challenges).toBe(3)
    expect(lab.server.machine.info(0)?.peer).toEqual(client.address)
  })

  it("is not started by a captured packet from a forged source: the attacker gets challenges, never data", () => {
    const { lab, client } = connected()
    const attacker = { address: "10.66.6.6", port: 666 }
    let captured: Flight | undefined
    lab.network = (flight) => {
      if (!isUp(flight) || captured !== undefined) return [flight]
      captured = flight
      return [{ ...flight, from: attacker }]
    }
    sendUp(lab, client, "stolen")
    for (let i = 0; i < 50; i++) {
      lab.run(lab.nowNs + 100e6)
      sendDown(lab, 0, "secret")
    }
    const toAttacker = lab.sent.filter(({ to }) => to.port === 666)
    expect(toAttacker.length).toBe(3)
    for (const { bytes } of toAttacker) expect(bytes.length).toBe(30 + 10)
    expect(lab.server.machine.info(0)?.peer).toEqual(client.address)
    expect(client.received.length).toBeGreaterThanOrEqual(49)
  })

  it("is not started by an old packet that was merely late on another path", () => {
    const { lab, client } = connected()
    let late: Flight | undefined
    lab.network = (flight) => {
      if (late !== undefined) return [flight]
      late = flight
      return [{ ...flight, from: { address: "10.66.6.6", port: 666 }, delayNs: 500e6 }]
    }
    sendUp(lab, client, "late")
    sendUp(lab, client, "on time")
    lab.run(lab.nowNs + 1e9)
    expect(lab.server.received.length).toBe(2)
    expect(lab.sent.some(({ to }) => to.port === 666)).toBe(false)
  })

  it("follows the peer that moves on before it has answered, four challenges a second at most", () => {
    const { lab, client } = connected()
    for (let i = 0; i < 20; i++) {
      moveTo(lab, client, "10.0.7.7", 6001 + i)
      sendUp(lab, client, "hop")
      lab.run(lab.nowNs + 10e6)
    }
    const before = lab.sent.filter(({ to }) => to.port > 6000 && to.port !== SERVER.port).length
    expect(before).toBeLessThanOrEqual(2)
    lab.run(lab.nowNs + 300e6)
    sendUp(lab, client, "here at last")
    lab.run(lab.nowNs + 2e9)
    expect(lab.server.machine.info(0)?.peer).toEqual(client.address)
  })

  it("is the client's alone: what comes from another server's address is dropped", () => {
    const { lab, client } = connected()
    lab.network = (flight) => [isUp(flight) ? flight : { ...flight, from: { address: "10.0.0.2", port: 7000 } }]
    sendDown(lab, 0, "x")
    lab.run(lab.nowNs + 50e6)
    expect(client.received).toEqual([])
    expect(client.machine.drops[DROP.address]).toBe(1)
  })
})
