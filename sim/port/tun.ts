/**
 * The `Tun` port without a device driver: the node's device on one side, the sockets of applications on the same host on the other,
 * and between them a host stack (ip-stack.ts) that plays the operating system's.
 *
 * It needs nothing of the simulator but "now" and "soon", so the loopback world uses it too, on a real clock.
 */

import { assert } from "@horizon/core/assert.ts"
import { Tun, type TunDevice, TunError, type TunOpen, type TunStats } from "@horizon/core/port/tun.ts"
import { Udp, type UdpBind, UdpError } from "@horizon/core/port/udp.ts"
import { formatV4, parseV4 } from "@horizon/core/wire/address.ts"
import { BATCH_SLOTS, DatagramBatch } from "@horizon/core/wire/batch.ts"
import { Effect, Layer } from "effect"
import { type IpInterface, IpStack } from "../net/ip-stack.ts"
import { PacketRing, QUEUE_PACKETS } from "../net/packet-ring.ts"
import { Feed, type FeedClock, type FeedUser } from "./feed.ts"
import { TunnelSocket } from "./tun-socket.ts"

/** Linux's limits of an interface's MTU as far as IPv4 goes: RFC 791's least and the largest that a slot holds. */
const MTU_BYTES = { min: 68, max: 2048 } as const

export class TunHost {
  readonly stack: IpStack
  /** Between the stack and the device. */
  readonly toDevice = new PacketRing(QUEUE_PACKETS)
  readonly clock: FeedClock
  private device: Device | undefined

  constructor(clock: FeedClock) {
    this.clock = clock
    this.stack = new IpStack(this.toDevice)
  }

  /** The device side, for the node. */
  layerTun(user: FeedUser = outside(this.clock)): Layer.Layer<Tun> {
    return Layer.succeed(Tun)({
      open: (options) =>
        Effect.acquireRelease(
          Effect.suspend(() => this.open(user, options)),
          (device) => Effect.sync(() => device.close())
        )
    })
  }

  /** The sockets of applications on the host; they reach what the tunnel reaches and nothing else. */
  layerUdp(user: FeedUser = outside(this.clock)): Layer.Layer<Udp> {
    return Layer.succeed(Udp)({
      bind: (options) =>
        Effect.acquireRelease(
          Effect.suspend(() => this.bind(user, options)),
          (socket) => Effect.sync(() => socket.close())
        )
    })
  }

  /** Whether there is an interface: one dies with the process that holds it. */
  isUp(): boolean {
    return this.device?.isOpen() === true
  }

  /** The stack may have queued packets for the device. */
  wakeDevice(): void {
    this.device?.feed.wake()
  }

  handleClosed(device: Device): void {
    if (this.device !== device) return
    this.device = undefined
    this.toDevice.clear()
    this.stack.configure(undefined)
  }

  private open(user: FeedUser, options: TunOpen): Effect.Effect<Device, TunError> {
    if (options.kind === "tap" || options.cidr === undefined)
      return tunFail(
        "unsupported",
        `cannot open interface ${JSON.stringify(options.name)}: ${options.kind === "tap" ? "this host has no Ethernet, only IP (kind tun)" : "this host has nobody else to give it an address; say which (cidr)"}`
      )
    const own = parseInterface({ ...options, cidr: options.cidr })
    if (typeof own === "string")
      return tunFail("unknown", `cannot open interface ${JSON.stringify(options.name)}: ${own}`)
    if (this.device !== undefined && this.isUp())
      return tunFail(
        this.device.name === options.name ? "name-in-use" : "address-in-use",
        `cannot open interface ${options.name}: ${this.device.name} is open on this host; close it first`
      )
    // What a killed process had open is gone like its process.
    this.device?.close()
    this.device = new Device(this, user, options)
    this.stack.configure(own)
    return Effect.succeed(this.device)
  }

  private bind(user: FeedUser, options: UdpBind): Effect.Effect<TunnelSocket, UdpError> {
    const own = this.isUp() ? this.stack.interface : undefined
    const any = options.address === undefined || options.address === "0.0.0.0" || options.address === "::"
    const address = any ? 0 : parseV4(options.address!)
    if (address === undefined || (address !== 0 && address !== own?.address))
      return udpFail(
        "address-not-available",
        `cannot bind UDP to ${options.address}: the tunnel's address is ${own === undefined ? "not set, it is down" : formatV4(own.address)}`
      )
    const port = options.port === 0 ? this.stack.freePort() : options.port
    const socket = new TunnelSocket(this, user, { address: formatV4(address), port }, options)
    if (port !== 0 && socket.open(address)) return Effect.succeed(socket)
    return udpFail("address-in-use", `UDP port ${port} on the tunnel is in use; choose another one`)
  }
}

/** A user that is always there. */
const outside = (clock: FeedClock): FeedUser => ({ nowNs: clock.nowNs, alive: true, deliver: (work) => work() })

const tunFail = (reason: TunError["reason"], message: string): Effect.Effect<never, TunError> =>
  Effect.fail(new TunError({ reason, message }))

const udpFail = (reason: UdpError["reason"], message: string): Effect.Effect<never, UdpError> =>
  Effect.fail(new UdpError({ reason, message }))

/** The interface that the options describe, or what is wrong with them. */
const parseInterface = ({ name, cidr, mtuBytes }: TunOpen & { cidr: string }): IpInterface | string => {
  if (!/^[!-.0-~]{1,15}$/.test(name)) return "a name has 1 to 15 visible characters without a slash"
  const match = /^([0-9.]+)\/([0-9]{1,2})$/.exec(cidr)
  const address = match === null ? undefined : parseV4(match[1])
  const prefixBits = match === null ? 33 : Number(match[2])
  if (address === undefined || prefixBits > 32)
    return `${JSON.stringify(cidr)} is not an IPv4 address with a prefix such as 10.77.0.5/16`
  if (!Number.isInteger(mtuBytes) || mtuBytes < MTU_BYTES.min || mtuBytes > MTU_BYTES.max)
    return `an MTU of ${mtuBytes} bytes is outside ${MTU_BYTES.min} to ${MTU_BYTES.max}`
  return { address, prefixBits, mtuBytes }
}

class Device implements TunDevice {
  readonly name: string
  readonly mtuBytes: number
  readonly tx: DatagramBatch
  readonly feed: Feed
  private readonly host: TunHost
  private readonly user: FeedUser
  private packetsOut = 0
  private bytesOut = 0
  private dropsOut = 0
  /** Drops at the ring before this device was opened. */
  private readonly refusedBefore: number
  private closed = false

  constructor(host: TunHost, user: FeedUser, options: TunOpen) {
    this.host = host
    this.refusedBefore = host.toDevice.refused
    this.user = user
    this.name = options.name
    this.mtuBytes = options.mtuBytes
    const slots = options.slots ?? BATCH_SLOTS
    this.tx = new DatagramBatch(slots)
    this.feed = new Feed(host.toDevice, host.clock, user, slots)
  }

  get rx(): DatagramBatch {
    return this.feed.rx
  }

  isOpen(): boolean {
    return !this.closed && this.user.alive
  }

  onBatch(handler: (nowNs: number, count: number) => void): void {
    this.feed.onBatch(handler)
  }

  send(count: number): void {
    const { tx } = this
    assert(count <= tx.capacity, "no more slots are sent than the batch has")
    for (let i = 0; i < count; i++) {
      const length = tx.length[i]
      if (this.closed || length > this.mtuBytes || this.host.stack.handlePacket(tx.slab, tx.offset(i), length) !== 0) {
        this.dropsOut++
      } else {
        this.packetsOut++
        this.bytesOut += length
      }
    }
    // Answers of the stack itself, to a ping or about a closed port.
    this.host.wakeDevice()
  }

  stats(): TunStats {
    return {
      packetsIn: this.feed.packets,
      bytesIn: this.feed.bytes,
      packetsOut: this.packetsOut,
      bytesOut: this.bytesOut,
      dropsIn: this.host.toDevice.refused - this.refusedBefore,
      dropsOut: this.dropsOut
    }
  }

  close(): void {
    this.closed = true
    this.feed.close()
    this.host.handleClosed(this)
  }
}
