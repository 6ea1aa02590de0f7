import fc from "fast-check"
import { expect, test } from "vitest"
import { decodeLeases, encodeLeases } from "./lease-record.ts"
import { AddressPool, type PoolOptions } from "./pool.ts"
import { broadcastAddress, gatewayAddress, parsePrefix, prefixIndex } from "./prefix.ts"

const SECOND_NS = 1_000_000_000
const prefixFrom = (text: string) => {
  const prefix = parsePrefix(text)
  if (prefix === undefined) throw new Error(`bad prefix ${text}`)
  return prefix
}
const deviceId = (n: number): string => n.toString(16).padStart(32, "0")

const makePool = (change: Partial<PoolOptions> = {}): AddressPool =>
  new AddressPool({
    prefix: prefixFrom("10.77.0.0/28"),
    leaseNs: 60 * SECOND_NS,
    leasesMax: 1_000,
    faultPoint: () => false,
    ...change
  })

type Step =
  | { readonly act: "acquire" | "release"; readonly device: number; readonly tenant: string; readonly waitNs: number }
  | { readonly act: "restart"; readonly waitNs: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record({
      act: fc.constantFrom("acquire" as const, "release" as const),
      device: fc.nat(19),
      tenant: fc.constantFrom("red", "blue"),
      waitNs: fc.nat(40).map((s) => s * SECOND_NS)
    })
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constant("restart" as const), waitNs: fc.constant(0) }) }
)

test("no address ever has two holders, and a device keeps its address while its lease lives, restarts included", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      let pool = makePool()
      let nowNs = 0
      /** The address that each tenant and device was promised, until the pool says that the lease has expired. */
      const promised = new Map<string, number>()
      for (const each of steps) {
        nowNs += each.waitNs
        for (const lease of pool.expire(nowNs)) promised.delete(lease.tenant + lease.deviceId)
        if (each.act === "restart") {
          const record = encodeLeases(pool.prefix, pool.leases(), nowNs)
          pool = makePool()
          nowNs = 0
          pool.restore(decodeLeases(pool.prefix, record, nowNs) ?? [])
          expect(pool.size).toBe(promised.size)
        } else {
          const key = each.tenant + deviceId(each.device)
          if (each.act === "release") pool.release(nowNs, each.tenant, deviceId(each.device))
          else {
            const room = pool.hasRoomFor(each.tenant, deviceId(each.device))
            const lease = pool.acquire(each.tenant, deviceId(each.device))
            expect(lease !== undefined).toBe(room)
            const before = promised.get(key)
            if (lease === undefined) expect(pool.size).toBe(pool.capacity)
            else {
              if (before !== undefined) expect(lease.address).toBe(before)
              promised.set(key, lease.address)
            }
          }
        }
        const addresses = pool.leases().map((lease) => lease.address)
        expect(new Set(addresses).size).toBe(addresses.length)
        for (const address of addresses) {
          expect(prefixIndex(pool.prefix, address)).toBeGreaterThan(1)
          expect(address).not.toBe(broadcastAddress(pool.prefix))
          expect(address).not.toBe(gatewayAddress(pool.prefix))
        }
      }
    }),
    { numRuns: 200 }
  )
})

test("every address but network, gateway and broadcast is handed out before the pool refuses", () => {
  const pool = makePool()
  expect(pool.capacity).toBe(13)
  const addresses = new Set(Array.from({ length: 13 }, (_, i) => pool.acquire("red", deviceId(i))?.address))
  expect(addresses.size).toBe(13)
  expect(addresses.has(undefined)).toBe(false)
  expect(pool.hasRoomFor("red", deviceId(13))).toBe(false)
  expect(pool.acquire("red", deviceId(13))).toBeUndefined()
  expect(pool.acquire("red", deviceId(7))?.address).toBeDefined()
})

test("a lease expires its lease time after the session ended, not before, and its address is free again", () => {
  const pool = makePool({ prefix: prefixFrom("10.77.0.0/29"), leasesMax: 1 })
  const first = pool.acquire("red", deviceId(1))
  expect(pool.pollTimeout()).toBe(Number.POSITIVE_INFINITY)
  pool.release(5 * SECOND_NS, "red", deviceId(1))
  expect(pool.pollTimeout()).toBe(65 * SECOND_NS)
  expect(pool.expire(65 * SECOND_NS - 1)).toEqual([])
  expect(pool.acquire("red", deviceId(2))).toBeUndefined()
  expect(pool.expire(65 * SECOND_NS).map((lease) => lease.deviceId)).toEqual([deviceId(1)])
  expect(pool.holder(first?.address ?? 0)).toBeUndefined()
  expect(pool.acquire("red", deviceId(2))).toBeDefined()
})

test("a restart goes on counting idle time where it stood, and starts it anew for leases that were bound", () => {
  const pool = makePool()
  pool.acquire("red", deviceId(1))
  pool.acquire("red", deviceId(2))
  pool.release(10 * SECOND_NS, "red", deviceId(1))
  const record = encodeLeases(pool.prefix, pool.leases(), 50 * SECOND_NS)
  const next = makePool()
  next.restore(decodeLeases(next.prefix, record, 3 * SECOND_NS) ?? [])
  expect(next.pollTimeout()).toBe((3 - 40 + 60) * SECOND_NS)
  expect(next.expire(23 * SECOND_NS).map((lease) => lease.deviceId)).toEqual([deviceId(1)])
  expect(next.pollTimeout()).toBe(63 * SECOND_NS)
})

test("a device tends to get its old address from a gateway that has forgotten it", () => {
  const wide = { prefix: prefixFrom("10.77.0.0/16") }
  const first = makePool(wide).acquire("red", deviceId(77))
  expect(makePool(wide).acquire("red", deviceId(77))?.address).toBe(first?.address)
})

test("one device has an address of its own in each tenant", () => {
  const pool = makePool()
  expect(pool.acquire("red", deviceId(1))?.address).not.toBe(pool.acquire("blue", deviceId(1))?.address)
})

test("leases of another prefix are not taken over, and bytes that are no record are told apart", () => {
  const pool = makePool()
  pool.acquire("größer", deviceId(1))
  const record = encodeLeases(pool.prefix, pool.leases(), 0)
  expect(decodeLeases(pool.prefix, record, 0)?.[0].tenant).toBe("größer")
  expect(decodeLeases(prefixFrom("10.78.0.0/28"), record, 0)).toEqual([])
  for (let length = 0; length < record.length; length++)
    expect(decodeLeases(pool.prefix, record.subarray(0, length), 0)).toBeUndefined()
  const other = record.slice()
  other[0] = 2
  expect(decodeLeases(pool.prefix, other, 0)).toBeUndefined()
  const longer = new Uint8Array(record.length + 1)
  longer.set(record)
  expect(decodeLeases(pool.prefix, longer, 0)).toBeUndefined()
})

test("restoring leaves out what does not fit: a taken address, a foreign address, too many", () => {
  const pool = makePool({ leasesMax: 2 })
  const at = (address: number, n: number) => ({ address, tenant: "red", deviceId: deviceId(n), idleFromNs: n })
  const base = pool.prefix.network
  expect(
    pool.restore([
      at(base + 1, 1),
      at(base + 100, 2),
      at(base + 5, 3),
      at(base + 5, 4),
      at(base + 6, 5),
      at(base + 7, 6)
    ])
  ).toBe(2)
  expect(pool.leases().map((lease) => lease.address - base)).toEqual([5, 6])
})

test("the planted fault gateway.lease.double hands out an address that is in use", () => {
  const pool = makePool({ faultPoint: (name) => name === "gateway.lease.double" })
  const first = pool.acquire("red", deviceId(1))
  expect(pool.acquire("red", deviceId(2))?.address).toBe(first?.address)
})

test("only usable prefixes are accepted", () => {
  expect(parsePrefix("10.77.0.0/16")).toEqual({ network: 0x0a4d0000, length: 16 })
  for (const bad of [
    "10.77.0.0",
    "10.77.0.1/16",
    "10.0.0.0/8",
    "10.77.0.0/30",
    "10.77.0.0/016",
    "300.0.0.0/16",
    "::/64"
  ])
    expect(parsePrefix(bad)).toBeUndefined()
})
