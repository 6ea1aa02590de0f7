/** Port Tun against the kernel: the contract, with and without offloads, and what only a real device shows. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { once } from "node:events"
import { readlinkSync } from "node:fs"
import { connect } from "node:net"
import { type TunInstance, tunContract } from "@horizon/core/port/tun.contract.ts"
import { Tun, type TunDevice, type TunOpen } from "@horizon/core/port/tun.ts"
import { Udp, type UdpSocket } from "@horizon/core/port/udp.ts"
import { parseV4, putV4 } from "@horizon/core/wire/address.ts"
import { Outbox } from "@horizon/core/wire/batch.ts"
import { type Loaded, loadNative, type Native } from "@horizon/native/native.ts"
import { Effect, Layer, type Scope } from "effect"
import { describe, expect, test } from "vitest"
import { Arena } from "./arena.ts"
import { layerClock } from "./clock.ts"
import { inOwnNamespace } from "./own-namespace.fixture.ts"
import { layerTun } from "./tun.ts"
import { layerUdp } from "./udp.ts"
import { layerNativeUdp } from "./udp-native.ts"

const loaded = loadNative()

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> => Effect.runPromise(Effect.scoped(effect))

/** The module with other options than the layer gives it. */
const without = (native: Native): Loaded => ({
  module: { ...native, tunOpen: (options, ...rest) => native.tunOpen({ ...options, offload: false }, ...rest) }
})

/** Devices, and applications on Node's own sockets. */
const layers = (native: Loaded) => ({
  tun: Layer.provide(layerTun(native, new Arena()), layerClock),
  udp: Layer.provide(layerUdp, layerClock)
})

/** Devices, and applications that send bursts in one piece (UDP GSO): so the device reads super-packets. */
const layersWithBursts = (native: Native) => ({
  tun: Layer.provide(layerTun({ module: native }, new Arena()), layerClock),
  udp: Layer.provide(layerNativeUdp(native, new Arena()), layerClock)
})

const ip = (...args: ReadonlyArray<string>): string => execFileSync("ip", args, { encoding: "utf8" })

const OPEN: TunOpen = { name: "hzkernel0", cidr: "10.77.0.5/16", mtuBytes: 1280 }

/** Holds another namespace for as long as the scope is open. */
const otherNamespace: Effect.Effect<ChildProcess & { readonly pid: number }, never, Scope.Scope> =
  Effect.acquireRelease(
    Effect.promise(async () => {
      const holder = spawn("unshare", ["--net", "--", "sleep", "100"], { stdio: "ignore" })
      const own = readlinkSync("/proc/self/ns/net")
      for (let i = 0; i < 200 && readlinkSync(`/proc/${holder.pid}/ns/net`) === own; i++)
        await new Promise((resolve) => setTimeout(resolve, 5))
      return holder as ChildProcess & { readonly pid: number }
    }),
    (holder) => Effect.sync(() => holder.kill("SIGKILL"))
  )

const inside = (holder: { readonly pid: number }, ...command: ReadonlyArray<string>): ReadonlyArray<string> => [
  `--target=${holder.pid}`,
  "--net",
  "--",
  ...command
]

/** What one device reads the other writes. */
const forward = (from: TunDevice, to: TunDevice): void => {
  const outbox = new Outbox(to.tx, (count) => to.send(count))
  from.onBatch((_, count) => {
    for (let i = 0; i < count; i++) outbox.copy(from.rx.slab, from.rx.offset(i), from.rx.length[i])
    outbox.flush()
  })
}

/** A device here and one in another namespace, joined in user space; addresses 10.78.0.1 and 10.78.0.2, fd78::1 and fd78::2. */
const joined = (kind: "tun" | "tap") =>
  Effect.gen(function* () {
    const tun = yield* Tun
    const holder = yield* otherNamespace
    const here = yield* tun.open({ kind, name: "hzhere", cidr: "10.78.0.1/24", mtuBytes: 1420 })
    const there = yield* tun.open({ kind, name: "hzthere", mtuBytes: 1420 })
    forward(here, there)
    forward(there, here)
    ip("link", "set", "hzthere", "netns", String(holder.pid))
    ip("address", "add", "fd78::1/64", "dev", "hzhere", "nodad")
    for (const args of [
      ["address", "add", "10.78.0.2/24", "dev", "hzthere"],
      ["link", "set", "hzthere", "up"],
      ["address", "add", "fd78::2/64", "dev", "hzthere", "nodad"]
    ])
      execFileSync("nsenter", inside(holder, "ip", ...args))
    return { holder, here, there }
  })

/** A program that says where it listens, then the hash of what it got, and sends the same back. */
const RECEIVER = `
  const { createHash } = require("node:crypto")
  require("node:net").createServer((socket) => {
    const hash = createHash("sha256")
    socket.on("data", (bytes) => { hash.update(bytes); socket.write(bytes) })
    socket.on("end", () => { socket.end(); console.log(hash.digest("hex")) })
    // Only then has everything left that was sent back.
    socket.on("close", () => process.exit())
  }).listen(5201, () => console.log("listening"))
`

/** Sends `bytes` from here to `address` there and back; the three hashes. */
const echo = (holder: { readonly pid: number }, address: string, bytes: Buffer): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(async () => {
    const receiver = spawn("nsenter", inside(holder, process.execPath, "-e", RECEIVER), {
      stdio: ["ignore", "pipe", "inherit"]
    })
    try {
      const lines: Array<string> = []
      receiver.stdout.on("data", (text) => lines.push(...String(text).trim().split("\n")))
      await once(receiver.stdout, "data")
      const socket = connect(5201, address)
      const hash = createHash("sha256")
      socket.on("data", (chunk) => hash.update(chunk))
      socket.end(bytes)
      await Promise.all([once(socket, "end"), once(receiver, "close")])
      return [createHash("sha256").update(bytes).digest("hex"), lines[1], hash.digest("hex")]
    } finally {
      receiver.kill("SIGKILL")
    }
  })

const sendTo = (socket: UdpSocket, address: string, port: number, payloads: ReadonlyArray<Uint8Array>): void => {
  for (const [i, data] of payloads.entries()) {
    socket.tx.slab.set(data, socket.tx.offset(i))
    socket.tx.length[i] = data.length
    putV4(socket.tx.address, i * 4, parseV4(address)!)
    socket.tx.port[i] = port
    socket.tx.ecn[i] = 0
  }
  socket.send(payloads.length)
}

const until = (done: () => boolean) =>
  Effect.gen(function* () {
    for (let i = 0; i < 400 && !done(); i++) yield* Effect.sleep(5)
    expect(done()).toBe(true)
  })

const tests = (native: Native): void => {
  const withTun = <E>(
    body: Effect.Effect<void, E, Scope.Scope | Tun | Udp>,
    { tun, udp } = layers({ module: native })
  ): Promise<void> => run(body.pipe(Effect.provide([tun, udp])))

  const contract = (name: string, instance: () => Omit<TunInstance, "run">): void =>
    tunContract({ name, open: () => ({ run, ...instance() }) })
  contract("native", () => layers({ module: native }))
  contract("native without offloads", () => layers(without(native)))
  contract("native, applications that send bursts", () => layersWithBursts(native))

  describe("native device", () => {
    for (const [kind, address] of [
      ["tun", "10.78.0.2"],
      ["tun", "fd78::2"],
      ["tap", "10.78.0.2"],
      ["tap", "fd78::2"]
    ] as const)
      test(`${kind}: TCP through two devices to ${address} arrives byte for byte, in super-packets on both`, () =>
        withTun(
          Effect.gen(function* () {
            const { holder, here, there } = yield* joined(kind)
            const [sent, heard, back] = yield* echo(holder, address, randomBytes(16 * 1024 * 1024))
            expect([heard, back]).toEqual([sent, sent])
            for (const device of [here, there]) {
              const figures = device.figures!()
              expect(figures).toMatchObject({ tsoOn: 1, offloadErrors: 0 })
              const { packetsIn, packetsOut, dropsOut } = device.stats()
              expect(dropsOut).toBe(0)
              // Far fewer system calls than packets, in both directions.
              expect(figures["readCalls"]).toBeLessThan(packetsIn / 3)
              expect(figures["writeCalls"]).toBeLessThan(packetsOut / 3)
              expect(figures["readsSegmented"]).toBeGreaterThan(100)
              expect(figures["writesCoalesced"]).toBeGreaterThan(100)
            }
          })
        ))

    test("a super-packet of UDP is read as its datagrams, and a batch may be smaller than it", () =>
      withTun(
        Effect.gen(function* () {
          const tun = yield* Tun
          const udp = yield* Udp
          const device = yield* tun.open({ ...OPEN, slots: 7 })
          const seen: Array<number> = []
          const counts: Array<number> = []
          device.onBatch((_, count) => {
            counts.push(count)
            for (let i = 0; i < count; i++) {
              const packet = device.rx.view(i)
              if (packet[9] === 17 && packet.length === 1028) seen.push(packet[28])
            }
          })
          const socket = yield* udp.bind({ address: "10.77.0.5", port: 0 })
          const payloads = Array.from({ length: 50 }, (_, i) => new Uint8Array(1000).fill(i))
          sendTo(socket, "10.77.3.9", 7000, payloads)
          yield* until(() => seen.length === 50)
          expect(seen).toEqual(payloads.map((_, i) => i))
          expect(Math.max(...counts)).toBe(7)
          expect(device.figures!()).toMatchObject({ usoOn: 1, readsSegmented: 1, readCalls: 1 })
        }),
        layersWithBursts(native)
      ))

    test("without offloads it says so, and every packet is a call of its own", () =>
      withTun(
        Effect.gen(function* () {
          const tun = yield* Tun
          const device = yield* tun.open({ ...OPEN, cidr: "10.78.0.1/24", offload: false })
          const packets = burst()
          writeAll(device, packets)
          expect(device.stats().packetsOut).toBe(packets.length)
          expect(device.figures!()).toMatchObject({ tsoOn: 0, usoOn: 0, writeCalls: packets.length, offloadErrors: 0 })
        })
      ))

    test("an interface that is down takes nothing, which is counted and no reason to do without offloads", () =>
      withTun(
        Effect.gen(function* () {
          const { here } = yield* joined("tun")
          const packets = burst()
          ip("link", "set", "hzhere", "down")
          writeAll(here, packets)
          expect(here.stats()).toMatchObject({ packetsOut: 0, dropsOut: packets.length })
          expect(here.figures!()).toMatchObject({ tsoOn: 1, usoOn: 1, offloadErrors: 0, writesCoalesced: 0 })
          ip("link", "set", "hzhere", "up")
          writeAll(here, packets)
          expect(here.stats()).toMatchObject({ packetsOut: packets.length, dropsOut: packets.length })
          expect(here.figures!()).toMatchObject({ usoOn: 1, offloadErrors: 0, writesCoalesced: 1 })
        })
      ))

    test("an interface that somebody removes costs no processor time, and closing it is no error", () =>
      withTun(
        Effect.gen(function* () {
          const tun = yield* Tun
          const device = yield* tun.open(OPEN)
          device.onBatch(() => {})
          ip("link", "delete", OPEN.name)
          yield* Effect.sleep(20)
          const before = process.cpuUsage()
          yield* Effect.sleep(300)
          const { user, system } = process.cpuUsage(before)
          expect((user + system) / 1000).toBeLessThan(100)
          device.tx.length[0] = 40
          device.send(1)
          expect(device.stats().dropsOut).toBe(1)
        })
      ))

    test("a device that is closed by its own handler, in the middle of a super-packet, says nothing more and frees its name", () =>
      withTun(
        Effect.gen(function* () {
          const tun = yield* Tun
          const udp = yield* Udp
          for (let round = 0; round < 20; round++) {
            let batches = 0
            yield* Effect.scoped(
              Effect.gen(function* () {
                const device = yield* tun.open({ ...OPEN, slots: 2 })
                device.onBatch(() => {
                  batches++
                  ;(device as unknown as { close: () => void }).close()
                  device.send(1)
                })
                const socket = yield* udp.bind({ address: "10.77.0.5", port: 0 })
                sendTo(
                  socket,
                  "10.77.3.9",
                  7000,
                  Array.from({ length: 30 }, () => new Uint8Array(500))
                )
                yield* until(() => batches > 0)
              })
            )
            yield* Effect.sleep(1)
            expect(batches).toBe(1)
          }
        }),
        layersWithBursts(native)
      ))

    test("what the node does not read in time is dropped by the kernel and counted", () =>
      withTun(
        Effect.gen(function* () {
          const tun = yield* Tun
          const udp = yield* Udp
          const device = yield* tun.open(OPEN)
          let heard = 0
          device.onBatch((_, count) => {
            for (let i = 0; i < count; i++) if (device.rx.view(i)[9] === 17) heard++
          })
          const socket = yield* udp.bind({ address: "10.77.0.5", port: 0 })
          const payloads = Array.from({ length: 60 }, () => new Uint8Array(100))
          // `node:dgram` hands over at once, so the queue fills before the loop turns.
          for (let i = 0; i < 50; i++) sendTo(socket, "10.77.3.9", 7000, payloads)
          yield* until(() => heard + device.stats().dropsIn === 3000)
          expect(device.stats().dropsIn).toBeGreaterThan(1000)
          expect(heard).toBeGreaterThanOrEqual(1000)
        })
      ))

    test("it says nothing of its own accord over IPv6", () =>
      withTun(
        Effect.gen(function* () {
          const tun = yield* Tun
          for (const kind of ["tun", "tap"] as const) {
            const device = yield* tun.open({ ...OPEN, kind, name: `hzquiet${kind}` })
            const versions: Array<number> = []
            device.onBatch((_, count) => {
              for (let i = 0; i < count; i++) versions.push(device.rx.view(i)[kind === "tun" ? 0 : 12] >> 4)
            })
            yield* Effect.sleep(100)
            expect(ip("-6", "address", "show", "dev", device.name)).toBe("")
            expect(versions.filter((version) => version === 6 || version === 8)).toEqual([])
          }
        })
      ))
  })
}

/** Datagrams as the other end would send them: equal ones of one flow, so that they may be written as one. */
const burst = (): ReadonlyArray<Uint8Array> => {
  const packets = Array.from({ length: 10 }, () => new Uint8Array(128))
  for (const packet of packets) {
    packet.set([0x45, 0, 0, 128, 0, 1, 0x40, 0, 64, 17, 0, 0, 10, 78, 0, 2, 10, 78, 0, 1])
    packet.set([0x1b, 0x58, 0x1b, 0x58, 0, 108], 20)
    checksum(packet, 10, packet.subarray(0, 20))
    checksum(packet, 26, Uint8Array.of(...packet.subarray(12, 20), 0, 17, 0, 108, ...packet.subarray(20)))
  }
  return packets
}

const checksum = (packet: Uint8Array, at: number, over: Uint8Array): void => {
  let sum = 0
  for (let i = 0; i < over.length; i += 2) sum += over[i] * 256 + over[i + 1]
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  packet[at] = (0xffff - sum) >> 8
  packet[at + 1] = (0xffff - sum) & 255
}

const writeAll = (device: TunDevice, packets: ReadonlyArray<Uint8Array>): void => {
  for (const [i, packet] of packets.entries()) {
    device.tx.slab.set(packet, device.tx.offset(i))
    device.tx.length[i] = packet.length
  }
  device.send(packets.length)
}

await inOwnNamespace(import.meta.filename, "missing" in loaded ? loaded.missing : "", () => {
  if ("module" in loaded) tests(loaded.module)
})
