import { readFileSync, writeFileSync } from "node:fs"
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js"
import { describe, expect, it } from "vitest"
import { nodeCrypto } from "../../../nodes/real/crypto.ts"
import type { Crypto } from "../../crypto/crypto.ts"
import { identityFromSeed } from "../../crypto/identity.ts"
import { nobleCrypto } from "../../crypto/noble.ts"
import { HELLO } from "../../wire/handshake.ts"
import { type Ticket, verifyTicket } from "../../wire/ticket.ts"
import { SERVER, SessionLab, WALL_START_MS } from "./session.fixture.ts"
import { CLOSE } from "./session.ts"

/**
 * A whole session, byte by byte, for this implementation and for others. To make the file anew after a deliberate change of the wire,
 * run this test with HORIZON_GOLDEN=write.
 */
const FILE = new URL("../../wire/golden/session.json", import.meta.url)

interface GoldenSession {
  readonly about: string
  readonly inputs: Readonly<Record<string, string | number>>
  readonly datagrams: ReadonlyArray<{ readonly name: string; readonly from: string; readonly hex: string }>
}

/** A source of "random" bytes: the n-th draw is filled with n, counting from `first`. */
const drawsFrom = (first: number): ((bytes: Uint8Array) => void) => {
  let next = first
  return (bytes) => bytes.fill(next++)
}

const play = (crypto: Crypto): GoldenSession => {
  const lab = new SessionLab(crypto, { server: { fill: drawsFrom(0x81) } })
  const device = identityFromSeed(crypto, new Uint8Array(32).fill(0xde))
  const client = lab.addClient({ identity: device, fill: drawsFrom(1) })
  lab.establish(client)
  const tunnel = hexToBytes("4500001c00010000401166cf0a4d00020a4d00010035003500080000")
  client.machine.send(lab.nowNs, 4, tunnel, 0, tunnel.length)
  lab.run(lab.nowNs + 10e6)
  lab.server.machine.send(lab.nowNs, 0, 1, Uint8Array.of(0x10, 1, 2, 3), 0, 4)
  lab.run(lab.nowNs + 2.2e9)
  client.address = { address: "10.0.7.7", port: 6001 }
  client.machine.send(lab.nowNs, 4, tunnel, 0, tunnel.length)
  lab.run(lab.nowNs + 30e6)
  client.machine.close(lab.nowNs, CLOSE.normal)
  lab.run(lab.nowNs + 20e6)

  const stranger = lab.addClient({ fill: drawsFrom(0x41) })
  stranger.machine.connect(lab.nowNs)
  const { attempt } = stranger.machine as unknown as { attempt: { hello: Uint8Array } }
  attempt.hello[HELLO.suites] = 77
  lab.run(lab.nowNs + 50e6)

  const names = [
    ...["HELLO", "RETRY", "HELLO with cookie", "ACCEPT", "CONFIRM", "READY"],
    ...["IP packet on channel 4", "application frame on channel 1", "PING", "PONG"],
    ...["IP packet from a new address", "PATH challenge", "PATH response", "BYE", "BYE", "BYE"],
    ...["HELLO without a known suite", "RETRY", "HELLO without a known suite, with cookie", "REFUSE"]
  ]
  expect(lab.sent.length).toBe(names.length)
  return {
    about:
      "One session from HELLO to BYE and one refusal. Random bytes: the n-th draw of an end is filled with one value, counting up from the " +
      "values below (client: ephemeral secret, random; server: two cookie secrets, cookie random for each RETRY, ephemeral secret, random, PATH challenge).",
    inputs: {
      brokerSeed: bytesToHex(lab.broker.seed),
      serverSeed: bytesToHex(lab.serverIdentity.seed),
      deviceSeed: bytesToHex(device.seed),
      ticket: bytesToHex(lab.ticketFor(device)),
      clientFirstDraw: 1,
      serverFirstDraw: 0x81,
      refusedClientFirstDraw: 0x41,
      wallMsAtStart: WALL_START_MS,
      oneWayMs: 10,
      client: "10.0.1.1:5000, then 10.0.7.7:6001",
      server: "10.0.0.1:7000",
      refusedClient: "10.0.1.2:5000"
    },
    datagrams: lab.sent.map(({ to, bytes }, i) => ({
      name: names[i],
      from: to.port === SERVER.port ? "client" : "server",
      hex: bytesToHex(bytes)
    }))
  }
}

if (process.env.HORIZON_GOLDEN === "write") writeFileSync(FILE, `${JSON.stringify(play(nobleCrypto), null, 1)}\n`)
const GOLDEN: GoldenSession = JSON.parse(readFileSync(FILE, "utf8"))

describe.each([nobleCrypto, nodeCrypto])("the golden session with $name", (crypto) => {
  const played = play(crypto)

  it.each(GOLDEN.datagrams.map((datagram, i) => ({ i, ...datagram })))(
    "has the same bytes in $name ($i)",
    ({ i, name, from, hex }) => {
      expect(played.datagrams[i]).toEqual({ name, from, hex })
    }
  )

  it("has as many datagrams and the same inputs", () => {
    expect(played.datagrams.length).toBe(GOLDEN.datagrams.length)
    expect(played.inputs).toEqual(GOLDEN.inputs)
  })
})

it("the golden ticket is valid for the golden server and says who the device is", () => {
  const broker = nobleCrypto.ed25519Public(hexToBytes(String(GOLDEN.inputs.brokerSeed)))
  const server = nobleCrypto.ed25519Public(hexToBytes(String(GOLDEN.inputs.serverSeed)))
  const verdict = verifyTicket(nobleCrypto, broker, hexToBytes(String(GOLDEN.inputs.ticket)), WALL_START_MS, server)
  expect(verdict).toMatchObject({
    ok: true,
    ticket: { user: "ada", tenant: "lovelace", rights: 1 } satisfies Partial<Ticket>
  })
})
