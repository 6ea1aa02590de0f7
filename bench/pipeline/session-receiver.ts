/**
 * Receiver of bench/net/udp-program.ts behind the whole secure pipeline: a server endpoint on the native layer, with a handler that counts
 * what was opened.
 */

import { makeServerEndpoint } from "@horizon/core/machine/session/server.ts"
import { Clock } from "@horizon/core/port/clock.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { SessionShell } from "@horizon/core/port/session-shell.ts"
import { Udp } from "@horizon/core/port/udp.ts"
import { layerPacketIo } from "@horizon/real/packet-io.ts"
import { Effect } from "effect"
import {
  endpointOption,
  offloadOption,
  runProgram,
  Stopwatch,
  sayReady,
  sayResult,
  untilStopped
} from "../net/udp-process.ts"
import { serverOptions } from "./session-ends.ts"

await runProgram(
  layerPacketIo(),
  Effect.gen(function* () {
    const udp = yield* Udp
    const crypto = yield* Crypto
    const { address, port } = endpointOption("bind")
    const socket = yield* udp.bind({ address, port, ...offloadOption() })
    const shell = new SessionShell(socket, yield* Clock, crypto.batches)
    const watch = new Stopwatch()
    let packets = 0
    let bytes = 0
    const onData = (_session: number, _channel: number, _bytes: Uint8Array, _at: number, length: number): void => {
      // The time of a batch is that of its first datagram.
      watch.tick(shell.nowNs)
      packets++
      bytes += length
    }
    const endpoint = makeServerEndpoint(serverOptions(crypto), shell.outbox, { onData })
    shell.drive(endpoint, () => {})
    sayReady(socket.local.port)
    yield* untilStopped
    const drops = socket.stats().dropsIn + endpoint.drops.reduce((sum, count) => sum + count, 0)
    sayResult({ role: "recv", mode: "session", packets, bytes, drops, ...watch.read() })
  })
)
