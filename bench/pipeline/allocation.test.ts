/** The packet paths of gateway and client as shipped, on the native module's batches, with the wire and the kernels in memory. */

import { getHeapStatistics } from "node:v8"
import { TunnelLink } from "@horizon/client/tunnel-link.ts"
import { makeClientEndpoint } from "@horizon/core/machine/session/client.ts"
import { makeServerEndpoint } from "@horizon/core/machine/session/server.ts"
import { decodeParameters, type TunnelParameters } from "@horizon/core/machine/tunnel/parameters.ts"
import { parsePrefix } from "@horizon/core/machine/tunnel/prefix.ts"
import { SessionShell } from "@horizon/core/port/session-shell.ts"
import type { TunDevice } from "@horizon/core/port/tun.ts"
import type { DatagramBatch } from "@horizon/core/wire/batch.ts"
import { ipv4Packet } from "@horizon/core/wire/ipv4-packet.fixture.ts"
import { HostLink } from "@horizon/gateway/host-link.ts"
import { Members } from "@horizon/gateway/members.ts"
import { Arena } from "@horizon/real/arena.ts"
import { nativeMissing } from "@horizon/real/native.ts"
import { expect, test } from "vitest"
import { connect, SERVER } from "./memory-session.ts"
import { MemorySocket, stillClock } from "./memory-socket.ts"
import { realCrypto } from "./real-crypto.ts"
import { clientOptions, device, serverOptions } from "./session-ends.ts"

/** Packets of one batch: what a virtual interface brings at once. */
const BATCH = 64
const BATCHES = 400
/** The garbage that a packet may make on average: less than the smallest object. */
const BYTES_PER_PACKET_MAX = 16
const PAYLOAD_BYTES = 1_000
const MTU_BYTES = 1_420

/** A virtual interface whose host is this test. */
class MemoryTun implements TunDevice {
  readonly name = "memory0"
  readonly mtuBytes = MTU_BYTES
  readonly rx: DatagramBatch
  readonly tx: DatagramBatch
  /** Packets that the node has handed to its host. */
  taken = 0
  /** Bytes of the last of them. */
  lastBytes = 0
  private handler: (nowNs: number, count: number) => void = () => {}

  constructor(arena: Arena) {
    this.rx = arena.batch(BATCH, 2048)
    this.tx = arena.batch(BATCH, 2048)
  }

  onBatch(handler: (nowNs: number, count: number) => void): void {
    this.handler = handler
  }

  send(count: number): void {
    this.taken += count
    this.lastBytes = this.tx.length[count - 1]
  }

  /** The host sends `packet`, as often as a batch holds. */
  bring(nowNs: number, packet: Uint8Array): void {
    const { rx } = this
    for (let slot = 0; slot < BATCH; slot++) {
      const at = rx.start[slot]
      for (let i = 0; i < packet.length; i++) rx.slab[at + i] = packet[i]
      rx.length[slot] = packet.length
    }
    this.handler(nowNs, BATCH)
  }

  stats() {
    return { packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0, dropsIn: 0, dropsOut: 0 }
  }
}

/** A gateway with an interface of its own and one member, who is connected. */
const lab = () => {
  const crypto = realCrypto()
  const clock = stillClock()
  const nothing = (): void => {}

  const gatewayArena = new Arena()
  const gatewaySocket = new MemorySocket(SERVER, gatewayArena.batch(128, 2048), gatewayArena.batch(128, 2048))
  const gatewayShell = new SessionShell(gatewaySocket, clock, crypto.batches)
  const members = new Members({
    sessionsMax: 16,
    trace: nothing,
    brokerNowMs: () => Date.now(),
    report: nothing,
    prefix: parsePrefix("10.77.0.0/16")!,
    leaseSeconds: 3_600,
    leasesMax: 16,
    mtuBytes: MTU_BYTES,
    broadcastCopiesPerSecond: 100,
    faultPoint: () => false,
    isRevoked: () => false,
    onLeasesChanged: nothing
  })
  const server = makeServerEndpoint(
    {
      ...serverOptions(crypto),
      sessionsMax: 16,
      admit: (subject) => members.admit(subject),
      parameters: (session, subject) => members.parameters(session, subject)
    },
    gatewayShell.outbox,
    members
  )
  members.attach(server, gatewayShell)
  const gatewayTun = new MemoryTun(gatewayArena)
  members.host = new HostLink(gatewayTun, () => members.fabric, gatewayShell)
  gatewayShell.drive(server, (event) => members.onEvent(event), members)

  const clientArena = new Arena()
  const local = { address: "10.1.0.1", port: 5000 }
  const clientSocket = new MemorySocket(local, clientArena.batch(128, 2048), clientArena.batch(128, 2048))
  const clientShell = new SessionShell(clientSocket, clock, crypto.batches)
  const link = new TunnelLink({ shell: clientShell, fill: nothing, onProof: nothing })
  let parameters: TunnelParameters | undefined
  const options = clientOptions(crypto, device(crypto, 1), SERVER)
  const onReady = (bytes: Uint8Array): void => {
    parameters = decodeParameters(bytes)
  }
  const client = makeClientEndpoint({ ...options, onReady }, clientShell.outbox, link)
  clientShell.drive(client, nothing, link)
  connect(
    { socket: clientSocket, shell: clientShell, machine: client },
    { socket: gatewaySocket, shell: gatewayShell, machine: server }
  )
  const clientTun = new MemoryTun(clientArena)
  link.attach(clientTun)
  clientShell.act((nowNs) => link.open(nowNs, client, parameters!))

  const wire = (from: MemorySocket, to: MemorySocket): void => {
    from.onSend = (count) => {
      for (let slot = 0; slot < count; slot++) {
        const at = from.tx.start[slot]
        const length = from.tx.length[slot]
        const start = to.rx.start[slot]
        for (let i = 0; i < length; i++) to.rx.slab[start + i] = from.tx.slab[at + i]
        to.rx.length[slot] = length
      }
      to.deliver(clock.nowNs(), count)
    }
  }
  wire(clientSocket, gatewaySocket)
  wire(gatewaySocket, clientSocket)
  return { clientTun, gatewayTun, members, link, addresses: parameters! }
}

/** Bytes of heap that a packet costs, once the code is warm. */
const bytesPerPacket = (tun: MemoryTun, packet: Uint8Array): number => {
  const nowNs = Math.floor(performance.now() * 1e6)
  for (let batch = 0; batch < BATCHES; batch++) tun.bring(nowNs, packet)
  const before = getHeapStatistics().used_heap_size
  for (let batch = 0; batch < BATCHES; batch++) tun.bring(nowNs, packet)
  return (getHeapStatistics().used_heap_size - before) / (BATCHES * BATCH)
}

const missing = nativeMissing()

test.skipIf(missing !== undefined)(
  `a packet from host to host through client and gateway makes no garbage, either way${missing === undefined ? "" : ` (skipped: ${missing})`}`,
  () => {
    const { addresses, clientTun, gatewayTun, link, members } = lab()
    const { address, gateway } = addresses
    const payload = new Uint8Array(PAYLOAD_BYTES).fill(7)

    const up = bytesPerPacket(clientTun, ipv4Packet(address, gateway, payload))
    expect([gatewayTun.taken, gatewayTun.lastBytes]).toEqual([2 * BATCHES * BATCH, PAYLOAD_BYTES + 20])
    const down = bytesPerPacket(gatewayTun, ipv4Packet(gateway, address, payload))
    // The member's first proof was answered beside it.
    expect(clientTun.taken).toBe(2 * BATCHES * BATCH)
    expect(clientTun.lastBytes).toBe(PAYLOAD_BYTES + 20)

    expect(members.fabric.fates.slice(1).every((count) => count === 0)).toBe(true)
    expect(link.drops.every((count) => count === 0)).toBe(true)
    expect(up).toBeLessThan(BYTES_PER_PACKET_MAX)
    expect(down).toBeLessThan(BYTES_PER_PACKET_MAX)
  }
)

test.skipIf(missing !== undefined)(
  `the measurement sees a path that makes garbage${missing === undefined ? "" : ` (skipped: ${missing})`}`,
  () => {
    const { addresses, clientTun, gatewayTun } = lab()
    const kept: Array<object> = []
    const { send } = gatewayTun
    gatewayTun.send = (count) => {
      for (let slot = 0; slot < count; slot++) kept.push({ slot })
      send.call(gatewayTun, count)
    }
    const packet = ipv4Packet(addresses.address, addresses.gateway, new Uint8Array(PAYLOAD_BYTES))
    expect(bytesPerPacket(clientTun, packet)).toBeGreaterThan(BYTES_PER_PACKET_MAX)
  }
)
