import { type TunInstance, tunContract } from "@horizon/core/port/tun.contract.ts"
import { Tun, type TunDevice } from "@horizon/core/port/tun.ts"
import { Udp, type UdpSocket } from "@horizon/core/port/udp.ts"
import { parseV4, putV4 } from "@horizon/core/wire/address.ts"
import { Effect, Exit, Scope } from "effect"
import { expect, test } from "vitest"
import { drive } from "../kernel/drive.ts"
import { Kernel, type KernelOptions } from "../kernel/kernel.ts"
import { Process, WallClock } from "../kernel/process.ts"
import { QUEUE_PACKETS } from "../net/packet-ring.ts"
import { TunHost } from "./tun.ts"

const OPEN = { name: "tun0", cidr: "10.77.0.5/16", mtuBytes: 1280 }

const boot = (order: Omit<KernelOptions, "seed"> = {}) => {
  const kernel = new Kernel({ seed: 1, ...order })
  const start = (name: string) => new Process({ kernel, name, wall: new WallClock(kernel, 0) })
  const host = new TunHost({ nowNs: () => kernel.nowNs, defer: (work) => kernel.enqueue(work) })
  return { kernel, start, host, node: start("node#1"), app: start("app#1") }
}

/** Opens in a scope that the test closes, or leaves to the process's death. */
const open = (host: TunHost, process: Process, options = OPEN, scope = Scope.makeUnsafe()): TunDevice =>
  drive(process, Tun.use((tun) => Scope.provide(tun.open(options), scope)).pipe(Effect.provide(host.layerTun(process))))

const bind = (host: TunHost, process: Process, port: number, scope = Scope.makeUnsafe(), address?: string): UdpSocket =>
  drive(
    process,
    Udp.use((udp) => Scope.provide(udp.bind({ port, ...(address === undefined ? {} : { address }) }), scope)).pipe(
      Effect.provide(host.layerUdp(process))
    )
  )

const send = (socket: UdpSocket, address: string, count = 1, length = 10): void => {
  for (let i = 0; i < count; i++) {
    putV4(socket.tx.address, i * 4, parseV4(address)!)
    socket.tx.port[i] = 7000
    socket.tx.length[i] = length
  }
  socket.send(count)
}

const countBatches = (port: { onBatch: TunDevice["onBatch"] }): Array<number> => {
  const counts: Array<number> = []
  port.onBatch((_, count) => counts.push(count))
  return counts
}

for (const [name, order] of [
  ["simulated", {}],
  ["simulated in random order with pre-emption", { order: "random", preemptPpm: 200_000 }]
] as const)
  tunContract({
    name,
    open: (): TunInstance => {
      const { host, node, app } = boot(order)
      return { run: (effect) => drive(node, effect), tun: host.layerTun(node), udp: host.layerUdp(app) }
    }
  })

tunContract({
  name: "real clock",
  open: (): TunInstance => {
    const host = new TunHost({
      nowNs: () => Math.round(performance.now() * 1e6),
      defer: (work) => void setImmediate(work)
    })
    return { run: (effect) => Effect.runPromise(Effect.scoped(effect)), tun: host.layerTun(), udp: host.layerUdp() }
  }
})

test("packets queue up to the limit while the node is paused, the rest are counted as drops", () => {
  const { kernel, host, node, app } = boot()
  const device = open(host, node)
  const counts = countBatches(device)
  const socket = bind(host, app, 5000)
  node.pause()
  for (let i = 0; i < 10; i++) send(socket, "10.77.0.9", 64)
  kernel.run(1e9)
  expect(counts).toEqual([])
  expect(device.stats().dropsIn).toBe(640 - QUEUE_PACKETS)
  expect(socket.stats()).toMatchObject({ packetsOut: 640, dropsOut: 0 })
  node.resume()
  kernel.run(2e9)
  expect(counts).toEqual([64, 64, 64, 64])
  expect(device.stats()).toMatchObject({ packetsIn: QUEUE_PACKETS, bytesIn: QUEUE_PACKETS * 38 })
})

test("packets that come before the handler is set are kept for it", () => {
  const { kernel, host, node, app } = boot()
  const device = open(host, node)
  send(bind(host, app, 5000), "10.77.0.9", 3)
  kernel.run(1e9)
  expect(countBatches(device)).toEqual([])
  const counts = countBatches(device)
  kernel.run(2e9)
  expect(counts).toEqual([3])
})

test("what has no route is the sender's drop: other networks, no interface, too long, broadcast without leave", () => {
  const { host, node, app } = boot()
  const socket = bind(host, app, 0)
  send(socket, "10.77.0.9")
  expect(socket.stats()).toMatchObject({ packetsOut: 0, dropsOut: 1 })
  const device = open(host, node)
  send(socket, "10.78.0.9")
  send(socket, "10.77.0.0")
  send(socket, "10.77.0.9", 1, 1253)
  send(socket, "10.77.255.255")
  socket.tx.address[0] = 1
  socket.send(1)
  expect(socket.stats()).toMatchObject({ packetsOut: 0, dropsOut: 6 })
  send(socket, "10.77.0.9", 1, 1252)
  expect(socket.stats()).toMatchObject({ packetsOut: 1, bytesOut: 1252 })
  expect(device.stats().dropsIn).toBe(0)
})

test("an application reaches another one on its own host without the node", () => {
  const { kernel, host, node, app } = boot()
  const device = open(host, node)
  const [a, b] = [bind(host, app, 5000), bind(host, app, 7000)]
  const counts = countBatches(b)
  send(a, "10.77.0.5", 2)
  kernel.run(1e9)
  expect(counts).toEqual([2])
  expect(b.rx.peer(0)).toEqual({ address: "10.77.0.5", port: 5000 })
  expect(device.stats().packetsIn).toBe(0)
})

test("a datagram for a port that nobody has is answered by an ICMP error", () => {
  const { kernel, host, node, app } = boot()
  const device = open(host, node)
  const counts = countBatches(device)
  const socket = bind(host, app, 5000)
  send(socket, "10.77.0.9")
  kernel.run(1e9)
  // Turned round, with the ports as they are: it goes to port 7000 here.
  const packet = device.rx.view(0).slice()
  const swap = packet.slice(12, 16)
  packet.copyWithin(12, 16, 20)
  packet.set(swap, 16)
  device.tx.slab.set(packet)
  device.tx.length[0] = packet.length
  device.send(1)
  kernel.run(2e9)
  expect(counts).toEqual([1, 1])
  expect([device.rx.slab[9], device.rx.slab[20], device.rx.slab[21], device.rx.length[0]]).toEqual([1, 3, 3, 56])
  expect(device.stats()).toMatchObject({ packetsOut: 0, dropsOut: 1 })
})

test("a device that a killed process left behind gives way to its successor; sockets stay bound", () => {
  const { kernel, host, node, app, start } = boot()
  open(host, node)
  const socket = bind(host, app, 5000, undefined, "10.77.0.5")
  send(socket, "10.77.0.9", 5)
  node.kill()
  send(socket, "10.77.0.9", 3)
  expect(socket.stats()).toMatchObject({ packetsOut: 5, dropsOut: 3 })
  kernel.run(1e9)
  const device = open(host, start("node#2"), { ...OPEN, name: "tun1" })
  const counts = countBatches(device)
  send(socket, "10.77.0.9", 2)
  kernel.run(2e9)
  expect(counts).toEqual([2])
})

test("a second interface is refused while one is open, by name or by address", () => {
  const { host, node, start } = boot()
  open(host, node)
  const refuse = (options: typeof OPEN) =>
    drive(node, Tun.use((tun) => Effect.flip(tun.open(options))).pipe(Effect.provide(host.layerTun(start("other")))))
  expect(refuse(OPEN).reason).toBe("name-in-use")
  expect(refuse({ ...OPEN, name: "tun1" }).reason).toBe("address-in-use")
  expect(refuse({ ...OPEN, mtuBytes: 9000 }).message).toContain("outside 68 to 2048")
})

test("ports are given out once, freed by closing and by their process's death, and addresses must be the tunnel's", () => {
  const { host, node, app, start } = boot()
  const refuse = (port: number, address: string) =>
    drive(
      node,
      Effect.scoped(Udp.use((udp) => Effect.flip(udp.bind({ port, address })))).pipe(
        Effect.provide(host.layerUdp(node))
      )
    )
  expect(refuse(0, "10.77.0.5").message).toContain("it is down")
  open(host, node)
  expect(refuse(0, "10.1.1.1").reason).toBe("address-not-available")
  expect(refuse(0, "name").reason).toBe("address-not-available")
  const scope = Scope.makeUnsafe()
  const socket = bind(host, app, 5000, scope)
  expect(socket.local).toEqual({ address: "0.0.0.0", port: 5000 })
  expect(refuse(5000, "0.0.0.0").reason).toBe("address-in-use")
  drive(app, Scope.close(scope, Exit.void))
  send(socket, "10.77.0.9")
  expect(socket.stats().dropsOut).toBe(1)
  bind(host, app, 5000)
  app.kill()
  bind(host, start("app#2"), 5000)
  const [first, second] = [bind(host, node, 0), bind(host, node, 0)]
  expect(second.local.port).not.toBe(first.local.port)
})

test("a closed device reads and writes nothing more", () => {
  const { kernel, host, node, app } = boot()
  const scope = Scope.makeUnsafe()
  const device = open(host, node, OPEN, scope)
  const counts = countBatches(device)
  const socket = bind(host, app, 5000)
  send(socket, "10.77.0.9")
  drive(node, Scope.close(scope, Exit.void))
  expect(counts.splice(0)).toEqual([1])
  device.tx.length[0] = 28
  device.send(1)
  send(socket, "10.77.0.9")
  kernel.run(1e9)
  expect(counts).toEqual([])
  expect(device.stats().dropsOut).toBe(1)
  expect(socket.stats().dropsOut).toBe(1)
})
