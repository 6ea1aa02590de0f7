import { getHeapStatistics } from "node:v8"
import { expect, it } from "vitest"
import { stubCrypto } from "../../crypto/stub.ts"
import { parseAddress } from "../../wire/address.ts"
import { SessionLab } from "./session.fixture.ts"

/** Packets measured, and the garbage each may make on average: less than the smallest object. */
const PACKETS = 20_000
const BYTES_PER_PACKET_MAX = 16

it("a data packet makes no garbage, so that the collector never pauses the packet path", () => {
  const lab = new SessionLab(stubCrypto)
  const client = lab.addClient()
  lab.establish(client)
  lab.collect(client)
  lab.server.received.push = () => 0
  const payload = new Uint8Array(200)
  const { batch } = client.outbox
  client.socket = () => {}
  // The test's own handler copies what it gets; this one does not.
  const { options } = (lab.server.machine as unknown as { live: ReadonlyArray<{ connection: { options: object } }> })
    .live[0].connection
  let heard = 0
  const source = new Uint32Array(4)
  parseAddress(client.address.address, source, 0)
  Object.assign(options, { handler: { onData: () => heard++ } })

  const exchange = (): void => {
    client.machine.send(lab.nowNs, 4, payload, 0, payload.length)
    client.outbox.flush()
    // The slot goes to the server where it is, as if it had come from the client.
    batch.address.set(source)
    batch.port[0] = client.address.port
    lab.server.machine.handleDatagram(lab.nowNs, batch, 0)
  }
  for (let i = 0; i < PACKETS; i++) exchange()
  const before = getHeapStatistics().used_heap_size
  for (let i = 0; i < PACKETS; i++) exchange()
  const bytes = (getHeapStatistics().used_heap_size - before) / PACKETS
  expect(heard).toBe(2 * PACKETS)
  expect(lab.server.machine.info(0)?.peer).toEqual(client.address)
  expect(bytes).toBeLessThan(BYTES_PER_PACKET_MAX)
})
