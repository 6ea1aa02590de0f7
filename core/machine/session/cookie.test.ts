import { describe, expect, it } from "vitest"
import { nobleCrypto } from "../../crypto/noble.ts"
import { parseAddress } from "../../wire/address.ts"
import { DatagramBatch } from "../../wire/batch.ts"
import { COOKIE_BYTES, HELLO, HELLO_BYTES, putHello, putHelloCookie } from "../../wire/handshake.ts"
import { COOKIE_LIFE_MS, COOKIE_ROTATION_NS, CookieJar } from "./cookie.ts"
import { Dice } from "./session.fixture.ts"

const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)

/** A jar on a clock, and one HELLO in a slot. */
const jarAndHello = (address = "10.0.0.9", port = 4000) => {
  const clock = { ns: 5e9 }
  const jar = new CookieJar(nobleCrypto, new Dice(4).fill, () => 1_700_000_000_000 + clock.ns / 1e6)
  const batch = new DatagramBatch(1)
  const hello = filled(HELLO_BYTES, 0)
  putHello(hello, [1], [1], filled(16, 1), filled(32, 2))
  batch.slab.set(hello)
  batch.length[0] = HELLO_BYTES
  parseAddress(address, batch.address, 0)
  batch.port[0] = port
  const bake = (): Uint8Array => {
    const cookie = new Uint8Array(COOKIE_BYTES)
    jar.write(clock.ns, batch, 0, cookie, 0)
    putHelloCookie(batch.slab, cookie, 0)
    return cookie
  }
  return { clock, jar, batch, bake, check: () => jar.check(clock.ns, batch, 0) }
}

describe("cookie", () => {
  it("is taken back from the source and the keys that it was made for", () => {
    const { bake, check } = jarAndHello()
    bake()
    expect(check()).toBe(true)
    const v6 = jarAndHello("2001:db8::9")
    v6.bake()
    expect(v6.check()).toBe(true)
  })

  it("holds the time, eight random bytes and the tag: 48 bytes, never twice the same", () => {
    const { bake } = jarAndHello()
    const first = bake()
    const time = new DataView(first.buffer).getBigUint64(0, true)
    expect(time).toBe(1_700_000_005_000n)
    expect(bake()).not.toEqual(first)
  })

  it("is refused from another address or port, or for other client values", () => {
    for (const change of [
      (batch: DatagramBatch) => parseAddress("10.0.0.8", batch.address, 0),
      (batch: DatagramBatch) => (batch.port[0] = 4001),
      (batch: DatagramBatch) => (batch.port[0] += 256),
      (batch: DatagramBatch) => (batch.slab[HELLO.random] ^= 1),
      (batch: DatagramBatch) => (batch.slab[HELLO.ephemeral + 31] ^= 1)
    ]) {
      const { bake, check, batch } = jarAndHello()
      bake()
      change(batch)
      expect(check()).toBe(false)
    }
  })

  it("is refused with any of its bytes changed", () => {
    const { bake, check, batch } = jarAndHello()
    bake()
    for (let i = 0; i < COOKIE_BYTES; i++) {
      batch.slab[HELLO.cookie + i] ^= 1
      expect(check()).toBe(false)
      batch.slab[HELLO.cookie + i] ^= 1
    }
    expect(check()).toBe(true)
  })

  it("lives 10 seconds and comes from no future", () => {
    const { bake, check, clock } = jarAndHello()
    bake()
    clock.ns += COOKIE_LIFE_MS * 1e6
    expect(check()).toBe(true)
    clock.ns += 1e6
    expect(check()).toBe(false)
    bake()
    clock.ns -= 2e6
    expect(check()).toBe(false)
  })

  it("outlives one rotation of the secrets and not two", () => {
    const { bake, check, clock, jar, batch } = jarAndHello()
    bake()
    const early = batch.slab.slice(0, HELLO_BYTES)
    clock.ns += COOKIE_ROTATION_NS - 5e9
    bake()
    clock.ns += 5e9
    // This check rotates: the cookie was made with what is now the older secret.
    expect(check()).toBe(true)
    const older = batch.slab.slice(0, HELLO_BYTES)
    bake()
    expect(check()).toBe(true)
    batch.slab.set(early)
    expect(check()).toBe(false)
    // Two periods later even a wall clock that stood still does not bring the old secrets back.
    const stopped = new CookieJar(nobleCrypto, new Dice(4).fill, () => 1_700_000_000_000)
    stopped.write(0, batch, 0, batch.slab, HELLO.cookie)
    expect(stopped.check(0, batch, 0)).toBe(true)
    expect(stopped.check(2 * COOKIE_ROTATION_NS, batch, 0)).toBe(false)
    batch.slab.set(older)
    expect(jar.check(clock.ns + COOKIE_ROTATION_NS, batch, 0)).toBe(false)
  })

  it("counts under the older secret only for the life of a cookie after a rotation", () => {
    const batch = jarAndHello().batch
    const jar = new CookieJar(nobleCrypto, new Dice(4).fill, () => 1_700_000_000_000)
    jar.write(0, batch, 0, batch.slab, HELLO.cookie)
    expect(jar.check(COOKIE_ROTATION_NS, batch, 0)).toBe(true)
    expect(jar.check(COOKIE_ROTATION_NS + COOKIE_LIFE_MS * 1e6 + 1, batch, 0)).toBe(false)
  })
})
