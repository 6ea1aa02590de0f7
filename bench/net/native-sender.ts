/** Sender of bench/net/udp-program.ts on the native module. */

import { layerPacketIo } from "@horizon/real/packet-io.ts"
import { send } from "./udp-counter.ts"

await send(layerPacketIo(), "native")
