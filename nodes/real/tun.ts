/**
 * Port Tun where there is no device driver: Node cannot open a TUN device by itself, that takes Horizon's native module. Opening
 * fails with a message that says so; nodes that need no device of their own (broker, gateway, game server) are not affected.
 */

import { Tun, TunError } from "@horizon/core/port/tun.ts"
import { Effect, Layer } from "effect"

export const layerTun: Layer.Layer<Tun> = Layer.succeed(Tun, {
  open: ({ name }) =>
    Effect.fail(
      new TunError({
        reason: "unsupported",
        message: `cannot open the network interface ${JSON.stringify(name)}: TUN devices need Horizon's native module, which this installation does not have; run the member in a simulated or loopback scenario instead`
      })
    )
})
