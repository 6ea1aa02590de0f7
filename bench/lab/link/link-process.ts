/**
 * The process of link driver `link`: makes two TAP devices for each link in the namespace that it was started in, runs core/link between
 * them on real frames, and ends with its standard input. Talks in the lines of link-words.ts.
 */

import { createInterface } from "node:readline"
import { linkFieldProblems } from "@horizon/core/link/validate.ts"
import { Clock } from "@horizon/core/port/clock.ts"
import { Tun, type TunDevice, type TunError } from "@horizon/core/port/tun.ts"
import { Arena } from "@horizon/real/arena.ts"
import { layerPacketIo } from "@horizon/real/packet-io.ts"
import { Effect, type Scope } from "effect"
import { FRAME_BYTES_MAX } from "./ether.ts"
import { FramePool } from "./frame-pool.ts"
import { LinkShuttle } from "./link-shuttle.ts"
import type { LinkAnswer, LinkOrder, LinkRequest } from "./link-words.ts"

/** Frames on their way in all links together: 300 ms at 1 Gbit/s in full frames are 25,000. */
const FRAMES = 24 * 1024
/** Room for the frames on their way and for the batches of a hundred devices. */
const ARENA_BYTES = 256 * 1024 * 1024
const MTU_BYTES = 1500
const SLOTS = 256

const say = (answer: LinkAnswer): void => void process.stdout.write(`${JSON.stringify(answer)}\n`)

const open = (name: string): Effect.Effect<TunDevice, TunError, Tun | Scope.Scope> =>
  Effect.flatMap(Tun, (tun) => tun.open({ name, kind: "tap", mtuBytes: MTU_BYTES, slots: SLOTS, offload: true }))

const answer = (shuttle: LinkShuttle, request: LinkRequest): LinkAnswer => {
  if (request.do === "counts")
    return {
      ok: true,
      counts: [...shuttle.links].map(([name, { up, down }]) => [name, { up: up.count(), down: down.count() }])
    }
  const link = shuttle.links.get(request.link)
  const problems = linkFieldProblems(request.spec)
  if (link === undefined) return { ok: false, missing: false, sentence: `there is no link ${request.link}` }
  if (problems.length > 0) return { ok: false, missing: false, sentence: problems.join("; ") }
  shuttle.act((nowNs) => link[request.way].configure(nowNs, request.spec))
  return { ok: true }
}

const main = (lines: AsyncIterator<string>) =>
  Effect.gen(function* () {
    const clock = yield* Clock
    const first = yield* Effect.promise(() => lines.next())
    const order = JSON.parse(first.value as string) as LinkOrder
    const links = yield* Effect.forEach(order.links, ({ name, host, subnet }) =>
      Effect.gen(function* () {
        return { name, host: yield* open(host), subnet: yield* open(subnet) }
      })
    )
    const pool = new FramePool(arena.batch(FRAMES, FRAME_BYTES_MAX))
    const shuttle = new LinkShuttle(pool, clock, links, order)
    say({ ok: true })
    yield* Effect.promise(async () => {
      for (let line = await lines.next(); line.done !== true; line = await lines.next())
        say(answer(shuttle, JSON.parse(line.value) as LinkRequest))
      shuttle.close()
    })
  })

const arena = new Arena(ARENA_BYTES)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const exit = await Effect.runPromiseExit(Effect.scoped(main(lines)).pipe(Effect.provide(layerPacketIo(arena))))
if (exit._tag === "Failure") {
  const error = exit.cause.reasons.map((reason) => (reason._tag === "Fail" ? reason.error : undefined))[0]
  say({ ok: false, missing: error?.reason === "unsupported", sentence: error?.message ?? String(exit.cause) })
  process.exitCode = 1
}
