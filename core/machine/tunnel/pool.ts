/**
 * The address pool of a gateway: which device has which tunnel address, and for how long after its session has ended.
 *
 * A lease is bound while a session uses it and idle afterwards; an idle lease lives `leaseNs` more. The first address tried
 * for a device follows from its name, so that a device tends to get its old address even from a gateway that has forgotten it.
 * Idle time is measured on the monotonic clock and persisted as an age: a step of the wall clock can never end a lease early.
 */

import { assert } from "../../assert.ts"
import { gatewayAddress, type Prefix, prefixIndex, prefixSize } from "./prefix.ts"

/** Most leases of one pool: their record (lease-record.ts) fits one entry of the Keys port. */
export const LEASES_MAX = 10_000

/** An address and who has it. */
export interface Lease {
  readonly address: number
  readonly tenant: string
  /** 32 hex digits. */
  readonly deviceId: string
  readonly bound: boolean
  /** Since when it has been idle; meaningless while it is bound. May be negative for a lease restored after a restart. */
  readonly idleFromNs: number
}

export interface PoolOptions {
  readonly prefix: Prefix
  /** Life of an idle lease. */
  readonly leaseNs: number
  /** At most LEASES_MAX. */
  readonly leasesMax: number
  /** `gateway.lease.double`: hand out an address that is in use, for the canary. */
  readonly faultPoint: (name: string) => boolean
}

type Held = { -readonly [K in keyof Lease]: Lease[K] }

export class AddressPool {
  readonly prefix: Prefix
  private readonly options: PoolOptions
  /** Number of leases that may exist at once: every address but network, gateway and broadcast, or the limit. */
  readonly capacity: number
  private readonly byHolder = new Map<string, Held>()
  private readonly byAddress = new Map<number, Held>()
  /** Idle leases in the order in which they became idle, so the first one expires first. */
  private readonly idle = new Map<string, Held>()

  constructor(options: PoolOptions) {
    assert(options.leasesMax >= 1 && options.leasesMax <= LEASES_MAX, `a pool has 1 to ${LEASES_MAX} leases`)
    this.options = options
    this.prefix = options.prefix
    this.capacity = Math.min(options.leasesMax, prefixSize(options.prefix) - 3)
  }

  /** Leases that exist, bound or idle. */
  get size(): number {
    return this.byHolder.size
  }

  /** Whether `acquire` would succeed for this device. */
  hasRoomFor(tenant: string, deviceId: string): boolean {
    return this.byHolder.size < this.capacity || this.byHolder.has(holderKey(tenant, deviceId))
  }

  /** The device's lease, old or new, now bound; `undefined` if the pool is exhausted. */
  acquire(tenant: string, deviceId: string): Lease | undefined {
    const key = holderKey(tenant, deviceId)
    const known = this.byHolder.get(key)
    if (known !== undefined) {
      known.bound = true
      this.idle.delete(key)
      return known
    }
    if (this.byHolder.size >= this.capacity) return undefined
    const lease: Held = { address: this.chooseAddress(key), tenant, deviceId, bound: true, idleFromNs: 0 }
    this.byHolder.set(key, lease)
    this.byAddress.set(lease.address, lease)
    return lease
  }

  /** The device's session has ended: its lease becomes idle. Nothing happens if it has none or it is idle already. */
  release(nowNs: number, tenant: string, deviceId: string): void {
    const key = holderKey(tenant, deviceId)
    const lease = this.byHolder.get(key)
    if (lease === undefined || !lease.bound) return
    lease.bound = false
    lease.idleFromNs = nowNs
    this.idle.set(key, lease)
  }

  /** Removes and returns the leases whose time is over. */
  expire(nowNs: number): ReadonlyArray<Lease> {
    const over: Array<Lease> = []
    for (const [key, lease] of this.idle) {
      if (lease.idleFromNs + this.options.leaseNs > nowNs) break
      this.idle.delete(key)
      this.byHolder.delete(key)
      if (this.byAddress.get(lease.address) === lease) this.byAddress.delete(lease.address)
      over.push(lease)
    }
    return over
  }

  /** When the next lease expires; `Infinity` if none is idle. */
  pollTimeout(): number {
    for (const lease of this.idle.values()) return lease.idleFromNs + this.options.leaseNs
    return Number.POSITIVE_INFINITY
  }

  /** The lease of an address. */
  holder(address: number): Lease | undefined {
    return this.byAddress.get(address)
  }

  leases(): ReadonlyArray<Lease> {
    return [...this.byHolder.values()]
  }

  /**
   * Takes over leases that an earlier life of this gateway had granted. All of them are idle now; `idleFromNs` of each says
   * since when. What does not fit this pool (another prefix, a taken address, no room) is left out; returns how many fitted.
   */
  restore(leases: Iterable<Pick<Lease, "address" | "tenant" | "deviceId" | "idleFromNs">>): number {
    let restored = 0
    for (const { address, tenant, deviceId, idleFromNs } of [...leases].sort((a, b) => a.idleFromNs - b.idleFromNs)) {
      const key = holderKey(tenant, deviceId)
      const usable = this.isAssignable(address) && !this.byAddress.has(address) && !this.byHolder.has(key)
      if (!usable || this.byHolder.size >= this.capacity) continue
      const lease: Held = { address, tenant, deviceId, bound: false, idleFromNs }
      this.byHolder.set(key, lease)
      this.byAddress.set(address, lease)
      this.idle.set(key, lease)
      restored++
    }
    return restored
  }

  private chooseAddress(key: string): number {
    if (this.options.faultPoint("gateway.lease.double"))
      for (const lease of this.byAddress.values()) if (lease.bound) return lease.address
    const size = prefixSize(this.prefix)
    const first = hash(key) % size
    for (let step = 0; step < size; step++) {
      const address = this.prefix.network + ((first + step) % size)
      if (this.isAssignable(address) && !this.byAddress.has(address)) return address
    }
    assert(false, "a pool with fewer leases than its capacity has a free address")
  }

  /** Whether the address is a host of the prefix other than the gateway. */
  private isAssignable(address: number): boolean {
    const index = prefixIndex(this.prefix, address)
    return index > 0 && index < prefixSize(this.prefix) - 1 && address !== gatewayAddress(this.prefix)
  }
}

/** One device may be a member of two tenants, with an address in each. A device id has a fixed length, so this is unique. */
const holderKey = (tenant: string, deviceId: string): string => `${deviceId}${tenant}`

/** FNV-1a over UTF-16 units: spreads devices over the prefix, nothing more is asked of it. */
const hash = (text: string): number => {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return value >>> 0
}
