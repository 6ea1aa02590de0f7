/**
 * Port Tun on the native module: whole batches to and from the kernel's TUN and TAP driver, with segmentation offload both ways. A
 * super-packet of the host's TCP is cut into packets in the node's slab; what the node sends is joined to super-packets again.
 *
 * Without the module opening fails with a message that says so; nodes that need no interface are not affected.
 */

import { readFileSync } from "node:fs"
import { getSystemErrorName } from "node:util"
import { Clock } from "@horizon/core/port/clock.ts"
import { Tun, type TunDevice, type TunError, type TunOpen } from "@horizon/core/port/tun.ts"
import { parseV4 } from "@horizon/core/wire/address.ts"
import { SLOT_BYTES } from "@horizon/core/wire/batch.ts"
import { type Loaded, type NativeTunOptions, TUN_COUNTER, TUN_COUNTERS } from "@horizon/native/native.ts"
import { Effect, Layer } from "effect"
import type { Arena } from "./arena.ts"
import { Defects } from "./defect.ts"
import { NativePort, type NativeSurroundings } from "./native-port.ts"
import { badTun, noTun, tunError } from "./tun-error.ts"

/** Packets of one batch: what some five super-packets hold. */
const SLOTS = 256
/** Room in the slab for the largest super-packet with the headers of all its packets, and how many of them a batch takes. */
const SUPER_PACKET_BYTES = 66 * 1024
const SUPER_PACKETS = 8
/** An Ethernet header and a VLAN tag, which the MTU does not count. */
const FRAME_EXTRA_BYTES = 18
/** RFC 791's least, and the largest IP packet, less an Ethernet header where there is one. */
const MTU_BYTES = { min: 68, max: 65_535 - 14 } as const

/** Interfaces of the host, with their packets in `arena`. */
export const layerTun = (native: Loaded, arena: Arena): Layer.Layer<Tun, never, Clock> =>
  Layer.effect(
    Tun,
    Effect.gen(function* () {
      const { nowNs } = yield* Clock
      const onDefect = yield* Defects
      return {
        open: (options) =>
          "missing" in native
            ? Effect.fail(noTun(options.name, native.missing))
            : Effect.acquireRelease(
                Effect.suspend(() => open({ native: native.module, arena, nowNs, onDefect }, options)),
                (device) => Effect.sync(() => device.close())
              )
      }
    })
  )

const open = (node: NativeSurroundings, options: TunOpen): Effect.Effect<NativeTunDevice, TunError> => {
  const wanted = parse(options)
  if (typeof wanted === "string") return Effect.fail(badTun(options.name, wanted))
  const device = new NativeTunDevice(node, wanted, options.slots ?? SLOTS)
  if (device.handle > 0) return Effect.succeed(device)
  device.close()
  return Effect.fail(tunError(getSystemErrorName(device.handle), options.name))
}

/** The interface that the options describe, or what is wrong with them. */
type Interface = Omit<NativeTunOptions, "rxFrom" | "rxBytes">

const parse = ({ kind, name, cidr, mtuBytes, offload }: TunOpen): Interface | string => {
  if (!/^(?!\.)[!-.0-~]{1,15}$/.test(name)) return "a name has 1 to 15 visible characters without a slash, no dot first"
  if (!Number.isInteger(mtuBytes) || mtuBytes < MTU_BYTES.min || mtuBytes > MTU_BYTES.max)
    return `an MTU of ${mtuBytes} bytes is outside ${MTU_BYTES.min} to ${MTU_BYTES.max}`
  const prefix = cidr === undefined ? { address: 0, prefixLength: 0 } : parseCidr(cidr)
  if (prefix === undefined) return `${JSON.stringify(cidr)} is not an IPv4 address with a prefix such as 10.77.0.5/16`
  return { name, tap: kind === "tap", mtuBytes, ...prefix, offload: offload ?? true }
}

const parseCidr = (text: string): { address: number; prefixLength: number } | undefined => {
  const match = /^([0-9.]+)\/([0-9]{1,2})$/.exec(text)
  const address = match === null ? undefined : parseV4(match[1])
  const prefixLength = match === null ? 33 : Number(match[2])
  return address === undefined || address === 0 || prefixLength > 32 ? undefined : { address, prefixLength }
}

class NativeTunDevice extends NativePort implements TunDevice {
  readonly handle: number
  readonly name: string
  readonly mtuBytes: number

  constructor(node: NativeSurroundings, wanted: Interface, slots: number) {
    const { native, arena } = node
    const slotBytes = Math.max(SLOT_BYTES, wanted.mtuBytes + FRAME_EXTRA_BYTES)
    const roomBytes = Math.max(slots * slotBytes, SUPER_PACKETS * SUPER_PACKET_BYTES)
    const rx = arena.batch(slots, slotBytes, roomBytes)
    const tx = arena.batch(slots, slotBytes)
    super(node, rx, tx, TUN_COUNTERS)
    this.mtuBytes = wanted.mtuBytes
    const options = { ...wanted, rxFrom: rx.from, rxBytes: roomBytes }
    this.handle = native.tunOpen(options, rx, tx, this.counters, this.onFilled)
    this.name = this.handle > 0 ? native.tunName(this.handle) : wanted.name
  }

  figures(): Readonly<Record<string, number>> {
    return this.figuresOf(TUN_COUNTER)
  }

  protected sendOpen(count: number): void {
    this.node.native.tunSend(this.handle, count)
  }

  protected kernelDropsOpen(): number {
    return kernelDrops(this.name)
  }

  protected closeOpen(): void {
    this.node.native.tunClose(this.handle)
  }
}

/** Place of "dropped on transmission" behind an interface's name in /proc/self/net/dev. */
const DROPPED_COLUMN = 11

/** Packets that the kernel dropped because the node did not read in time; 0 if the interface was moved to another namespace. */
const kernelDrops = (name: string): number => {
  try {
    for (const line of readFileSync("/proc/self/net/dev", "utf8").split("\n")) {
      const colon = line.indexOf(":")
      if (line.slice(0, colon).trim() !== name) continue
      return Number(
        line
          .slice(colon + 1)
          .trim()
          .split(/\s+/)[DROPPED_COLUMN]
      )
    }
  } catch {
    // Not readable here: what the kernel drops is not known.
  }
  return 0
}
