import { Tun } from "@horizon/core/port/tun.ts"
import { Effect } from "effect"
import { expect, test } from "vitest"
import { layerTun } from "./tun.ts"

test("opening a device without the native module says what is missing and what to do", async () => {
  const open = Effect.flatMap(Tun, (tun) => tun.open({ name: "horizon0", cidr: "10.77.0.2/16", mtuBytes: 1280 }))
  const error = await Effect.runPromise(Effect.scoped(Effect.provide(Effect.flip(open), layerTun)))
  expect(error.reason).toBe("unsupported")
  expect(error.message).toContain("horizon0")
  expect(error.message).toContain("native module")
})
