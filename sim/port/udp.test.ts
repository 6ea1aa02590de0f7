import { type UdpInstance, udpContract } from "@horizon/core/port/udp.contract.ts"
import { Udp, type UdpBind } from "@horizon/core/port/udp.ts"
import { parseAddress } from "@horizon/core/wire/address.ts"
import { Effect } from "effect"
import { expect, test } from "vitest"
import { drive } from "../kernel/drive.ts"
import { Kernel } from "../kernel/kernel.ts"
import { Process, WallClock } from "../kernel/process.ts"
import { EPHEMERAL_PORTS } from "../net/host.ts"
import { Network } from "../net/network.ts"
import { PROTOCOL } from "../net/packet.ts"
import { layerUdp, type SimUdpSocket, UdpHost } from "./udp.ts"

const boot = (options: { readonly receiveBufferBytes?: number; readonly packetsMax?: number } = {}) => {
  const kernel = new Kernel({ seed: 1 })
  const network = new Network(
    kernel,
    {
      subnets: { lan: { cidr: "10.0.0.0/24" } },
      hosts: {
        a: { subnet: "lan", up: { delayUs: 500 } },
        b: { subnet: "lan", up: { delayUs: 500 } },
        c: { subnet: "lan" }
      },
      routers: {}
    },
    options.packetsMax === undefined ? {} : { packetsMax: options.packetsMax }
  )
  let life = 0
  const start = (name: string) => new Process({ kernel, name: `${name}#${++life}`, wall: new WallClock(kernel, 0) })
  const udp = { a: new UdpHost(network.host("a"), options), b: new UdpHost(network.host("b"), options) }
  const process = { a: start("a"), b: start("b") }
  /** Binds outside any scope: the socket stays until its process dies. */
  const bind = (end: "a" | "b", bindOptions: UdpBind, owner = process[end]): SimUdpSocket => {
    let socket: SimUdpSocket | undefined
    owner.fork(
      Effect.scoped(
        Effect.gen(function* () {
          const { bind } = yield* Udp
          socket = (yield* bind(bindOptions)) as SimUdpSocket
          yield* Effect.never
        })
      ).pipe(Effect.provide(udp[end].layer(owner)))
    )
    kernel.run(kernel.nowNs)
    if (socket === undefined) return expect.unreachable("the port is free")
    return socket
  }
  const run = (ms: number) => kernel.run(kernel.nowNs + ms * 1e6)
  return { kernel, network, udp, process, start, bind, run }
}

const send = (from: SimUdpSocket, address: string, port: number, lengths: ReadonlyArray<number>): void => {
  lengths.forEach((length, slot) => {
    from.tx.slab.fill(slot, from.tx.offset(slot), from.tx.offset(slot) + length)
    from.tx.length[slot] = length
    parseAddress(address, from.tx.address, slot * 4)
    from.tx.port[slot] = port
  })
  from.send(lengths.length)
}

const hear = (socket: SimUdpSocket) => {
  const batches: Array<{ readonly nowNs: number; readonly lengths: ReadonlyArray<number> }> = []
  socket.onBatch((nowNs, count) => {
    batches.push({ nowNs, lengths: [...socket.rx.length.slice(0, count)] })
  })
  return batches
}

udpContract({
  name: "simulated, two hosts",
  open: (): UdpInstance => {
    const { network, udp, process } = boot()
    return {
      run: (effect) => drive(process.a, effect),
      a: { layer: udp.a.layer(process.a), address: "10.0.0.1" },
      b: { layer: layerUdp(network.host("b"), process.b), address: "10.0.0.2" }
    }
  }
})

udpContract({
  name: "simulated, loopback",
  open: (): UdpInstance => {
    const { udp, process } = boot()
    const layer = udp.a.layer(process.a)
    return {
      run: (effect) => drive(process.a, effect),
      a: { layer, address: "127.0.0.1" },
      b: { layer, address: "127.0.0.1" }
    }
  }
})

test("what arrives at one instant comes as one batch, and more than the slots hold as several", () => {
  const { bind, run } = boot()
  const a = bind("a", { port: 0 })
  const b = bind("b", { port: 7, slots: 4 })
  const batches = hear(b)
  send(a, "10.0.0.2", 7, [1, 2, 3, 4, 5, 6])
  run(10)
  expect(batches).toEqual([
    { nowNs: 500_000, lengths: [1, 2, 3, 4] },
    { nowNs: 500_000, lengths: [5, 6] }
  ])
})

test("the handler is told the monotonic time of its process, not of the world", () => {
  const { bind, run, start } = boot()
  run(1000)
  const b = bind("b", { port: 7 }, start("b"))
  const batches = hear(b)
  send(bind("a", { port: 0 }), "10.0.0.2", 7, [1])
  run(10)
  expect(batches[0].nowNs).toBe(500_000)
})

test("packets for a paused process pile up until its receive buffer is full, and come when it resumes", () => {
  // Linux charges 768 bytes for a small datagram.
  const { bind, run, process } = boot({ receiveBufferBytes: 768 * 10 })
  const a = bind("a", { port: 0 })
  const b = bind("b", { port: 7, slots: 4 })
  const batches = hear(b)
  process.b.pause()
  for (let i = 0; i < 3; i++) {
    send(a, "10.0.0.2", 7, [10, 10, 10, 10])
    run(1)
  }
  run(10)
  expect(batches).toEqual([])
  expect(b.stats()).toMatchObject({ packetsIn: 10, bytesIn: 100, dropsIn: 2 })
  process.b.resume()
  run(1)
  expect(batches.map(({ lengths }) => lengths.length)).toEqual([4, 4, 2])
  send(a, "10.0.0.2", 7, new Array(11).fill(10))
  run(10)
  expect(b.stats()).toMatchObject({ packetsIn: 20, dropsIn: 3 })
})

test("large datagrams take more of the receive buffer than small ones", () => {
  const { bind, run } = boot({ receiveBufferBytes: 2304 * 3 })
  const a = bind("a", { port: 0 })
  const b = bind("b", { port: 7 })
  send(a, "10.0.0.2", 7, [1200, 1200, 1200, 1200])
  run(10)
  expect(b.stats()).toMatchObject({ packetsIn: 3, dropsIn: 1 })
})

test("datagrams that came before there was a receiver wait for it", () => {
  const { bind, run } = boot()
  const b = bind("b", { port: 7 })
  send(bind("a", { port: 0 }), "10.0.0.2", 7, [1, 2])
  run(10)
  const batches = hear(b)
  run(1)
  expect(batches.map(({ lengths }) => lengths)).toEqual([[1, 2]])
})

test("a slow consumer reads every so often; of several faults the slowest counts, and each is taken back alone", () => {
  const { bind, run, udp, kernel } = boot()
  const a = bind("a", { port: 0 })
  const b = bind("b", { port: 7 })
  const batches = hear(b)
  const tick = kernel.register(() => send(a, "10.0.0.2", 7, [1]))
  for (let ms = 0; ms < 400; ms++) kernel.at(ms * 1e6, tick, 0, 0)
  const faster = udp.b.slowConsumer(20)
  const slower = udp.b.slowConsumer(100)
  run(199)
  // The datagram of the very instant comes behind the read that was booked long before, so these are 99: two batches.
  expect(batches.map(({ nowNs, lengths }) => [nowNs, lengths.length])).toEqual([
    [500_000, 1],
    [100_500_000, 64],
    [100_500_000, 35]
  ])
  slower()
  run(41)
  const last = batches.at(-1)!.nowNs
  slower()
  run(20)
  expect(batches.at(-1)!.nowNs - last).toBe(20_000_000)
  faster()
  run(10)
  expect(batches.at(-1)!.nowNs - batches.at(-2)!.nowNs).toBe(1_000_000)
})

test("the end of a slow-consumer fault wakes a socket that was to be read much later", () => {
  const { bind, run, udp } = boot()
  const a = bind("a", { port: 0 })
  const b = bind("b", { port: 7 })
  const batches = hear(b)
  const undo = udp.b.slowConsumer(60_000)
  send(a, "10.0.0.2", 7, [1])
  run(10)
  send(a, "10.0.0.2", 7, [2])
  run(10)
  expect(batches.length).toBe(1)
  undo()
  run(1)
  expect(batches.length).toBe(2)
})

test("a killed process neither sends nor receives, and its port is free for the next life", () => {
  const { bind, run, process, network, start } = boot()
  const a = bind("a", { port: 0 })
  const b = bind("b", { port: 7 })
  const batches = hear(b)
  send(a, "10.0.0.2", 7, [1])
  process.b.kill()
  send(b, "10.0.0.1", a.local.port, [1])
  run(10)
  expect(batches).toEqual([])
  expect(b.stats()).toMatchObject({ packetsOut: 0, dropsOut: 1, packetsIn: 0 })
  expect(network.counters.droppedBy.get("no-listener")).toBe(1)
  const next = bind("b", { port: 7 }, start("b"))
  const heard = hear(next)
  send(a, "10.0.0.2", 7, [1])
  run(10)
  expect(heard.length).toBe(1)
})

test("ICMP errors are counted and reach nobody", () => {
  const { bind, run } = boot()
  const a = bind("a", { port: 0 })
  const batches = hear(a)
  send(a, "10.0.0.2", 9, [1])
  run(10)
  expect(a.icmpErrors).toBe(1)
  expect(batches).toEqual([])
})

test("broadcast needs the broadcast option and reaches every other host", () => {
  const { bind, run, network } = boot()
  const b = bind("b", { port: 7 })
  const batches = hear(b)
  const timid = bind("a", { port: 0 })
  const loud = bind("a", { port: 0, broadcast: true })
  let atC = 0
  network.host("c").listen(PROTOCOL.udp, 7, () => atC++)
  for (const address of ["255.255.255.255", "10.0.0.255"]) {
    send(timid, address, 7, [1])
    send(loud, address, 7, [2])
  }
  run(10)
  expect(batches.flatMap(({ lengths }) => lengths)).toEqual([2, 2])
  expect(atC).toBe(2)
  expect(timid.stats()).toMatchObject({ packetsOut: 0, dropsOut: 2 })
})

test("what has no way out is counted as a drop: IPv6, port 0, address 0, a foreign peer of a loopback socket", () => {
  const { bind } = boot()
  const a = bind("a", { port: 0 })
  send(a, "2001:db8::1", 7, [1])
  send(a, "10.0.0.2", 0, [1])
  send(a, "0.0.0.0", 7, [1])
  send(bind("a", { port: 5, address: "10.0.0.1" }), "10.0.0.2", 7, [1])
  expect(a.stats()).toMatchObject({ packetsOut: 0, dropsOut: 3 })
  const local = bind("a", { port: 0, address: "127.0.0.1" })
  send(local, "10.0.0.2", 7, [1])
  send(local, "127.0.0.9", 7, [1])
  send(local, "10.0.0.1", 7, [1])
  expect(local.stats()).toMatchObject({ packetsOut: 2, dropsOut: 1 })
})

test("a full packet pool makes sends fail, not the run", () => {
  const { bind } = boot({ packetsMax: 3 })
  const a = bind("a", { port: 0 })
  send(a, "10.0.0.2", 7, [1, 1, 1, 1, 1])
  expect(a.stats()).toMatchObject({ packetsOut: 3, dropsOut: 2 })
})

test("ECN bits travel with the datagram, also through the backlog", () => {
  const { bind, run } = boot()
  const a = bind("a", { port: 0 })
  const b = bind("b", { port: 7, slots: 1 })
  const seen: Array<number> = []
  b.onBatch(() => {
    seen.push(b.rx.ecn[0])
  })
  a.tx.ecn.set([2, 1, 3])
  send(a, "10.0.0.2", 7, [1, 1, 1])
  run(10)
  expect(seen).toEqual([2, 1, 3])
})

test("a socket on all addresses hears the network and the loopback; one on an address only that", () => {
  const { bind, run } = boot()
  const any = hear(bind("b", { port: 7, address: "::" }))
  const local = hear(bind("b", { port: 8, address: "127.0.0.1" }))
  const outer = hear(bind("b", { port: 8, address: "10.0.0.2" }))
  const a = bind("a", { port: 0 })
  const b = bind("b", { port: 0 })
  for (const port of [7, 8]) {
    send(a, "10.0.0.2", port, [1])
    send(b, "127.0.0.1", port, [2])
  }
  run(10)
  expect(any.flatMap(({ lengths }) => lengths)).toEqual([2, 1])
  expect(local.flatMap(({ lengths }) => lengths)).toEqual([2])
  expect(outer.flatMap(({ lengths }) => lengths)).toEqual([1])
})

test("a bad port and a host without free ports are refused in words", () => {
  const { process, udp, network } = boot()
  const refusal = (options: UdpBind) =>
    drive(
      process.a,
      Effect.flip(
        Effect.provide(
          Udp.use(({ bind }) => bind(options)),
          udp.a.layer(process.a)
        )
      )
    )
  expect(refusal({ port: 70_000 })).toMatchObject({ reason: "unknown", message: expect.stringContaining("70000") })
  for (let port = EPHEMERAL_PORTS.first; port <= EPHEMERAL_PORTS.last; port++)
    network.host("a").listen(PROTOCOL.udp, port, () => {})
  expect(refusal({ port: 0 }).reason).toBe("address-in-use")
})
