/** Receiver of bench/net/udp-program.ts on `node:dgram`. */

import { layerClock } from "@horizon/real/clock.ts"
import { layerUdp } from "@horizon/real/udp.ts"
import { Layer } from "effect"
import { receive } from "./udp-counter.ts"

await receive(Layer.provide(layerUdp, layerClock), "node-dgram")
