/** Receiver of bench/net/udp-program.ts on the native module. */

import { layerPacketIo } from "@horizon/real/packet-io.ts"
import { receive } from "./udp-counter.ts"

await receive(layerPacketIo(), "native")
