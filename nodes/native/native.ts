/**
 * Horizon's native module as TypeScript sees it: plain functions on numbers and on memory that the caller owns.
 *
 * Every function that can fail returns a negative errno; none throws. A handle is a positive number. Typed arrays are handed over once, when
 * something is opened, and the module keeps reading and writing them until it is closed: they must never be transferred or resized.
 */

import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import { readStamp } from "./stamp.ts"

/** A `DatagramBatch` of core/wire/batch.ts. */
export interface NativeBatch {
  readonly slab: Uint8Array
  readonly start: Uint32Array
  readonly length: Int32Array
  readonly address: Uint32Array
  readonly port: Uint16Array
  readonly ecn: Uint8Array
  readonly capacity: number
  readonly slotBytes: number
}

/** What `udpOpen` is told. */
export interface NativeUdpOptions {
  /** Four words as in core/wire/address.ts: all zero = every address, IPv4 and IPv6. */
  readonly address: Uint32Array
  readonly port: number
  readonly broadcast: boolean
  /** Bytes of the slab from `rxFrom` on into which datagrams are received. */
  readonly rxFrom: number
  readonly rxBytes: number
  /** Segmentation offload of what is sent, and coalescing of what is received, where the kernel has them. */
  readonly gso: boolean
  readonly gro: boolean
  /** Sockets that share the port, 0 = the port is not shared; datagrams go to the one that the connection id's worker byte names. */
  readonly workers: number
  /** Asks the kernel for the time of arrival; `waitedNs` is filled. */
  readonly timestamps: boolean
}

/** Places of the counters that sockets and interfaces have alike, in the caller's array: what passed and what did not. */
export const STAT_COUNTER = {
  packetsIn: 0,
  bytesIn: 1,
  packetsOut: 2,
  bytesOut: 3,
  /** Of a socket: too long for a slot, or cut by the kernel. */
  dropsIn: 4,
  dropsOut: 5
} as const

/** Places of the counters that a socket keeps in the caller's array. */
export const UDP_COUNTER = {
  ...STAT_COUNTER,
  /** System calls that brought or took something. */
  receiveCalls: 6,
  sendCalls: 7,
  /** Messages of several datagrams. */
  messagesCoalesced: 8,
  messagesSegmented: 9,
  /** 1 while the offload is used. */
  gsoOn: 10,
  groOn: 11,
  /** Times that an offload was switched off by an error, and the errno of the last one. */
  offloadErrors: 12,
  offloadErrno: 13,
  /** Reads by the timer instead of by each datagram, under a dense stream of single datagrams. */
  wakesPaced: 14
} as const
export const UDP_COUNTERS = 16

/** What `tunOpen` is told. */
export interface NativeTunOptions {
  readonly name: string
  /** Ethernet frames instead of IP packets. */
  readonly tap: boolean
  readonly mtuBytes: number
  /** IPv4 address as a number, and the length of the prefix that is routed to the device; 0 and 0 = none. */
  readonly address: number
  readonly prefixLength: number
  readonly rxFrom: number
  readonly rxBytes: number
  /** TSO and USO: packets larger than the MTU cross to and from the kernel in one piece. */
  readonly offload: boolean
}

/** Places of the counters of a device. */
export const TUN_COUNTER = {
  ...STAT_COUNTER,
  readCalls: 6,
  writeCalls: 7,
  /** Reads that brought, and writes that took, several packets in one piece. */
  readsSegmented: 8,
  writesCoalesced: 9,
  tsoOn: 10,
  usoOn: 11,
  offloadErrors: 12,
  offloadErrno: 13
} as const
export const TUN_COUNTERS = 16

export interface Native {
  readonly INTERFACE: number
  /** Room in the slab for one message of the kernel, which may hold many datagrams. */
  readonly UDP_MESSAGE_BYTES: number

  /** Binds a socket; `onBatch` is called with the number of datagrams that were put into `rx`. `waitedNs` is empty without timestamps. */
  readonly udpOpen: (
    options: NativeUdpOptions,
    rx: NativeBatch,
    tx: NativeBatch,
    counters: Float64Array,
    waitedNs: Float64Array,
    onBatch: (count: number) => void
  ) => number
  /** Writes the bound address (four words) and port to five words. 0 or a negative errno. */
  readonly udpLocal: (socket: number, into: Uint32Array) => number
  /** Sends the first `count` slots of `tx`; what the kernel does not take is counted. Returns how many it took. */
  readonly udpSend: (socket: number, count: number) => number
  /** Datagrams that the kernel dropped because the receive buffer was full. */
  readonly udpDrops: (socket: number) => number
  readonly udpClose: (socket: number) => void

  /** Opens a device, gives it its address and MTU and takes it up. */
  readonly tunOpen: (
    options: NativeTunOptions,
    rx: NativeBatch,
    tx: NativeBatch,
    counters: Float64Array,
    onBatch: (count: number) => void
  ) => number
  /** The name that the system gave it. */
  readonly tunName: (device: number) => string
  readonly tunSend: (device: number, count: number) => number
  readonly tunClose: (device: number) => void

  /** Takes a key of 32 bytes: 1 = ChaCha20-Poly1305, 2 = AES-256-GCM. 0 if it cannot be taken. */
  readonly aeadKey: (algorithm: number, key: Uint8Array) => number
  readonly aeadWipe: (key: number) => void
  readonly aeadWork: (
    slab: Uint8Array,
    key: Uint32Array,
    start: Uint32Array,
    from: Uint32Array,
    length: Uint32Array,
    opened: Uint8Array
  ) => number
  readonly aeadWorkEnd: (work: number) => void
  readonly aeadSeal: (work: number, count: number) => number
  readonly aeadOpen: (work: number, count: number) => number

  readonly timerOpen: (onTime: (expirations: number) => void) => number
  readonly timerArm: (timer: number, delayNs: number) => number
  readonly timerClose: (timer: number) => void
}

/** The interface that this file describes; the module says its own. */
const INTERFACE = 2

/** The file beside this one that build.ts makes. */
export const MODULE_NAME = "horizon-native.node"

/** The module, or in one sentence why there is none and what to do about it. */
export type Loaded = { readonly module: Native } | { readonly missing: string }

let loaded: Loaded | undefined

/** Loads the module once. `HORIZON_NATIVE=off` makes do without it. */
export const loadNative = (): Loaded => {
  loaded ??= load(fileURLToPath(new URL(MODULE_NAME, import.meta.url)), process.env["HORIZON_NATIVE"])
  return loaded
}

export const load = (path: string, wish: string | undefined): Loaded => {
  if (wish === "off") return { missing: "the native module is switched off by HORIZON_NATIVE=off" }
  if (process.platform !== "linux") return { missing: `the native module is for Linux, this is ${process.platform}` }
  if (!existsSync(path)) {
    const { failure } = readStamp(path)
    return { missing: `the native module is not built: ${failure === "" ? "run: npm run native" : failure}` }
  }
  try {
    const module = createRequire(import.meta.url)(path) as Native
    return module.INTERFACE === INTERFACE
      ? { module }
      : { missing: "the native module is of another version of Horizon; build it again: npm run native" }
  } catch (error) {
    const [why] = (error as Error).message.split("\n")
    return { missing: `the native module cannot be loaded (${why}); build it again: npm run native` }
  }
}
