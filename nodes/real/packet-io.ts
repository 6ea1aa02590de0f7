/**
 * What moves packets on this host: sockets, interfaces, cryptography and the clock that times them, over one slab. On the native module where it
 * is built; `node:dgram` and `node:crypto` serve where it is not, without interfaces then.
 */

import type { Clock } from "@horizon/core/port/clock.ts"
import type { Crypto } from "@horizon/core/port/crypto.ts"
import type { Tun } from "@horizon/core/port/tun.ts"
import type { Udp } from "@horizon/core/port/udp.ts"
import { loadNative } from "@horizon/native/native.ts"
import { Layer } from "effect"
import { Arena } from "./arena.ts"
import { layerClock } from "./clock.ts"
import { layerCrypto } from "./crypto.ts"
import { layerTun } from "./tun.ts"
import { layerUdp } from "./udp.ts"
import { layerNativeUdp } from "./udp-native.ts"

export type PacketIo = Clock | Crypto | Tun | Udp

/** The ports of one node. `arena` is for who keeps packets of its own in the same slab. */
export const layerPacketIo = (arena?: Arena): Layer.Layer<PacketIo> =>
  Layer.suspend(() => {
    const native = loadNative()
    const slab = arena ?? new Arena()
    const udp = "module" in native ? layerNativeUdp(native.module, slab) : layerUdp
    return Layer.provideMerge(Layer.mergeAll(udp, layerTun(native, slab), layerCrypto), layerClock)
  })
