import { constants } from "node:os"
import { Tun, type TunError, type TunOpen } from "@horizon/core/port/tun.ts"
import type { Loaded, Native, NativeTunOptions } from "@horizon/native/native.ts"
import { Effect, Layer, type Scope } from "effect"
import { expect, test } from "vitest"
import { Arena } from "./arena.ts"
import { layerClock } from "./clock.ts"
import { layerTun } from "./tun.ts"

const OPEN: TunOpen = { name: "horizon0", cidr: "10.77.0.2/16", mtuBytes: 1280 }

const run = <A, E>(
  native: Loaded,
  effect: Effect.Effect<A, E, Tun | Scope.Scope>,
  arena = new Arena(1 << 22)
): Promise<A> =>
  Effect.runPromise(Effect.scoped(effect.pipe(Effect.provide(Layer.provide(layerTun(native, arena), layerClock)))))

const refused = (native: Loaded, options: TunOpen = OPEN, arena?: Arena): Promise<TunError> =>
  run(native, Effect.flip(Tun.use((tun) => tun.open(options))), arena)

/** A module whose driver answers with `handle`; keeps what it was told. */
const driver = (handle: number) => {
  const told: Array<NativeTunOptions> = []
  const closed: Array<number> = []
  const module = {
    tunOpen: (options: NativeTunOptions) => {
      told.push(options)
      return handle
    },
    tunName: () => "hz7",
    tunSend: () => 0,
    tunClose: (device: number) => void closed.push(device)
  } as unknown as Native
  return { native: { module }, told, closed }
}

test("opening a device without the native module says why it is missing and what to do", async () => {
  const error = await refused({ missing: "it is not built; run: npm run native" })
  expect(error.reason).toBe("unsupported")
  expect(error.message).toContain("horizon0")
  expect(error.message).toContain("native module")
  expect(error.message).toContain("npm run native")
})

test("each refusal of the system has a reason and a remedy, and takes no room in the arena", async () => {
  const { EACCES, EBUSY, EINVAL, EMFILE, ENODEV, ENOENT, EPERM } = constants.errno
  const arena = new Arena(1 << 22)
  for (const [errno, reason, remedy] of [
    [EPERM, "permission-denied", "CAP_NET_ADMIN"],
    [EACCES, "permission-denied", "run as root"],
    [ENOENT, "unsupported", "modprobe tun"],
    [ENODEV, "unsupported", "--device /dev/net/tun"],
    [EBUSY, "name-in-use", "choose another name"],
    [EMFILE, "unknown", "ulimit -n"],
    [EINVAL, "unknown", "EINVAL"]
  ] as const) {
    const error = await refused(driver(-errno).native, OPEN, arena)
    expect([error.reason, error.message]).toEqual([reason, expect.stringContaining(remedy)])
    expect(error.message).toContain('"horizon0"')
  }
  expect(arena.batch(1, 1 << 22).slab).toBe(arena.slab)
})

test("options that no system takes are refused without asking it", async () => {
  const { native, told } = driver(1)
  for (const [change, why] of [
    [{ name: "" }, "1 to 15"],
    [{ name: "a/b" }, "1 to 15"],
    [{ name: ".." }, "1 to 15"],
    [{ cidr: "10.77.0.2" }, "10.77.0.2"],
    [{ cidr: "10.77.0.2/33" }, "prefix"],
    [{ cidr: "0.0.0.0/0" }, "prefix"],
    [{ mtuBytes: 67 }, "68"],
    [{ mtuBytes: 70_000 }, "65521"],
    [{ mtuBytes: 1280.5 }, "1280.5"]
  ] as const)
    expect((await refused(native, { ...OPEN, ...change })).message).toContain(why)
  expect(told).toEqual([])
})

test("a device has room for its MTU, for several super-packets, and shares the arena's slab; closing gives all of it back", async () => {
  const { native, told, closed } = driver(5)
  const arena = new Arena(1 << 23)
  await run(
    native,
    Effect.gen(function* () {
      const tun = yield* Tun
      const device = yield* tun.open({ kind: "tap", name: "hz%d", mtuBytes: 9000 })
      expect(device.name).toBe("hz7")
      expect(device.rx.slab).toBe(arena.slab)
      expect(device.tx.slab).toBe(arena.slab)
      expect(device.tx.slotBytes).toBe(9018)
      expect(told[0]).toMatchObject({ tap: true, address: 0, prefixLength: 0, mtuBytes: 9000, offload: true })
      expect(told[0].rxBytes).toBeGreaterThanOrEqual(8 * 66 * 1024)
      expect(device.tx.from >= told[0].rxFrom + told[0].rxBytes || device.tx.to <= told[0].rxFrom).toBe(true)
    }),
    arena
  )
  expect(closed).toEqual([5])
  expect(arena.batch(1, 1 << 23).slab).toBe(arena.slab)
})

test("what is sent after the end is dropped and counted", async () => {
  const { native } = driver(5)
  const device = await run(
    native,
    Tun.use((tun) => tun.open(OPEN))
  )
  device.send(3)
  expect(device.stats()).toMatchObject({ packetsOut: 0, dropsOut: 3 })
})
