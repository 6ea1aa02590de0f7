/**
 * Sender of bench/net/udp-program.ts that seals: a client endpoint on the native layer, connected to a session receiver. `--size` is that of
 * the datagrams; the payloads lie in the node's slab, as packets from a virtual interface do.
 */

import { makeClientEndpoint } from "@horizon/core/machine/session/client.ts"
import { CHANNEL } from "@horizon/core/machine/session/session.ts"
import { Clock } from "@horizon/core/port/clock.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { SessionShell } from "@horizon/core/port/session-shell.ts"
import { Udp } from "@horizon/core/port/udp.ts"
import { SLOT_BYTES } from "@horizon/core/wire/batch.ts"
import { SEALED_OVERHEAD_BYTES } from "@horizon/core/wire/header.ts"
import { Arena } from "@horizon/real/arena.ts"
import { layerPacketIo } from "@horizon/real/packet-io.ts"
import { Effect } from "effect"
import { endpointOption, numberOption, offloadOption, runProgram, sayResult } from "../net/udp-process.ts"
import { clientOptions, device } from "./session-ends.ts"

const CONNECT_MS = 5_000
/** Packets of one turn: what a virtual interface brings at once. */
const TURN_PACKETS = 256

const arena = new Arena()

await runProgram(
  layerPacketIo(arena),
  Effect.gen(function* () {
    const udp = yield* Udp
    const crypto = yield* Crypto
    const clock = yield* Clock
    const socket = yield* udp.bind({ port: 0, address: "0.0.0.0", ...offloadOption() })
    const shell = new SessionShell(socket, clock, crypto.batches)
    const to = endpointOption("to")
    const options = clientOptions(crypto, device(crypto, 1), to)
    const endpoint = makeClientEndpoint(options, shell.outbox, { onData: () => {} })
    yield* Effect.callback<void, Error>((resume) => {
      shell.drive(endpoint, (event) => {
        if (event.kind === "established") resume(Effect.void)
        else resume(Effect.fail(new Error(`the session with ${to.address}:${to.port} ended: ${event.kind}`)))
      })
      shell.act((nowNs) => endpoint.connect(nowNs))
    }).pipe(Effect.timeout(CONNECT_MS))

    const { slab, from } = arena.batch(1, SLOT_BYTES)
    const payloadBytes = numberOption("size", 200) - SEALED_OVERHEAD_BYTES
    const packetsMax = numberOption("packets", Number.POSITIVE_INFINITY)
    const before = socket.stats()
    const cpu = process.cpuUsage()
    const startMs = performance.now()
    const endMs = startMs + numberOption("seconds", 1) * 1000
    let given = 0
    yield* Effect.callback<void>((resume) => {
      const turn = (): void => {
        const count = Math.min(TURN_PACKETS, packetsMax - given)
        shell.enter(clock.nowNs())
        for (let i = 0; i < count; i++) endpoint.send(shell.nowNs, CHANNEL.tunnel, slab, from, payloadBytes)
        shell.leave()
        given += count
        if (given < packetsMax && performance.now() < endMs) setImmediate(turn)
        else resume(Effect.void)
      }
      turn()
    })
    const seconds = (performance.now() - startMs) / 1000
    const { system, user } = process.cpuUsage(cpu)
    const drops = socket.stats().dropsOut - before.dropsOut
    const packets = given - drops
    const bytes = packets * (payloadBytes + SEALED_OVERHEAD_BYTES)
    const time = { seconds, userSeconds: user / 1e6, systemSeconds: system / 1e6 }
    sayResult({ role: "send", mode: "session", packets, bytes, drops, ...time })
  })
)
