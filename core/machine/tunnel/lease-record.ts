/**
 * Leases as bytes, for the gateway's persistent state. A restart reads them back and hands out the same addresses.
 *
 * Layout, little-endian: version u8 (1) | prefix length u8 | network u32 | lease count u32 | each lease: address u32, device
 * id 16 bytes, idle time u32 seconds, tenant bytes u8, tenant UTF-8. A bound lease is written with no idle time: the restart
 * that reads it back ends its session.
 */

import { bytesToUtf8 } from "@noble/ciphers/utils.js"
import { bytesToHex, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js"
import { assert } from "../../assert.ts"
import { LEASES_MAX, type Lease } from "./pool.ts"
import type { Prefix } from "./prefix.ts"

/** What is remembered of a lease over a restart. */
export type RememberedLease = Pick<Lease, "address" | "tenant" | "deviceId" | "idleFromNs">

const VERSION = 1
const HEADER_BYTES = 10
const DEVICE_ID_BYTES = 16
/** Bytes of a lease in front of its tenant. */
const LEASE_BYTES = 4 + DEVICE_ID_BYTES + 4 + 1
const SECOND_NS = 1_000_000_000

/** The record of `leases` at `nowNs`. */
export const encodeLeases = (prefix: Prefix, leases: ReadonlyArray<Lease>, nowNs: number): Uint8Array => {
  assert(leases.length <= LEASES_MAX, "a pool keeps within the limits of its record")
  const tenants = leases.map((lease) => utf8ToBytes(lease.tenant))
  const bytes = new Uint8Array(tenants.reduce((sum, tenant) => sum + LEASE_BYTES + tenant.length, HEADER_BYTES))
  const view = new DataView(bytes.buffer)
  bytes[0] = VERSION
  bytes[1] = prefix.length
  view.setUint32(2, prefix.network, true)
  view.setUint32(6, leases.length, true)
  let at = HEADER_BYTES
  for (const [i, lease] of leases.entries()) {
    const idleNs = lease.bound ? 0 : Math.max(0, nowNs - lease.idleFromNs)
    view.setUint32(at, lease.address, true)
    bytes.set(hexToBytes(lease.deviceId), at + 4)
    view.setUint32(at + 20, Math.min(0xffffffff, Math.floor(idleNs / SECOND_NS)), true)
    bytes[at + 24] = tenants[i].length
    bytes.set(tenants[i], at + LEASE_BYTES)
    at += LEASE_BYTES + tenants[i].length
  }
  return bytes
}

/** Leases of a record, idle since before `nowNs`; none if they are of another prefix; `undefined` if it is no record. */
export const decodeLeases = (
  prefix: Prefix,
  bytes: Uint8Array,
  nowNs: number
): ReadonlyArray<RememberedLease> | undefined => {
  if (bytes.length < HEADER_BYTES || bytes[0] !== VERSION) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const count = view.getUint32(6, true)
  if (count > LEASES_MAX) return undefined
  const leases: Array<RememberedLease> = []
  let at = HEADER_BYTES
  for (let i = 0; i < count; i++) {
    const tenantAt = at + LEASE_BYTES
    if (tenantAt > bytes.length || tenantAt + bytes[tenantAt - 1] > bytes.length) return undefined
    leases.push({
      address: view.getUint32(at, true),
      tenant: bytesToUtf8(bytes.subarray(tenantAt, tenantAt + bytes[tenantAt - 1])),
      deviceId: bytesToHex(bytes.subarray(at + 4, at + 4 + DEVICE_ID_BYTES)),
      idleFromNs: nowNs - view.getUint32(at + 20, true) * SECOND_NS
    })
    at = tenantAt + bytes[tenantAt - 1]
  }
  if (at !== bytes.length) return undefined
  return bytes[1] === prefix.length && view.getUint32(2, true) === prefix.network ? leases : []
}
