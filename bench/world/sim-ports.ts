/** Gives a node or an actor in the simulated world its ports, and makes one Effect of it that needs nothing more. */

import { Crypto } from "@horizon/core/port/crypto.ts"
import { FaultPoints } from "@horizon/core/port/fault-points.ts"
import { Lifecycle } from "@horizon/core/port/lifecycle.ts"
import { Trace } from "@horizon/core/port/trace.ts"
import { Directory } from "@horizon/scenarios/actor/actor.ts"
import { actorProgram } from "@horizon/scenarios/actor/registry.ts"
import type { ActorSpec, NodeSpec } from "@horizon/scenarios/scenario.ts"
import type { Process } from "@horizon/sim/kernel/process.ts"
import { layerClock } from "@horizon/sim/port/clock.ts"
import { layerEntropy } from "@horizon/sim/port/entropy.ts"
import { Hardware, layerHostFacts } from "@horizon/sim/port/host-facts.ts"
import { layerHttpServer } from "@horizon/sim/port/http.ts"
import { layerHttpClient } from "@horizon/sim/port/http-client.ts"
import { layerKeys } from "@horizon/sim/port/keys.ts"
import { layerStore } from "@horizon/sim/port/store.ts"
import { Context, Effect, Layer } from "effect"
import { fillIn, nodeProgram } from "./node-program.ts"
import type { Place, SimLab } from "./sim-lab.ts"

/** What every program in the lab gets. */
const basePorts = (lab: SimLab, name: string, place: Place, process: Process) =>
  Layer.mergeAll(
    layerClock(process),
    layerEntropy(process),
    layerKeys(place.disk),
    layerHttpClient(place.host, process),
    Layer.succeed(Crypto)(lab.watch.crypto),
    Layer.succeedContext(
      Context.make(Trace, lab.writerOf(name)).pipe(Context.add(FaultPoints, (point: string) => lab.isPlanted(point)))
    )
  )

export const nodeEffect = (
  lab: SimLab,
  spec: NodeSpec,
  place: Place,
  process: Process,
  ready: () => void
): Effect.Effect<void, unknown> => {
  const addressOf = (host: string): string => lab.address(host)
  const ports = Layer.mergeAll(
    basePorts(lab, spec.name, place, process),
    place.udp.layer(process),
    place.tun.layerTun(process),
    layerHostFacts(new Hardware(spec.host)),
    Layer.succeedContext(Context.make(Lifecycle, { ready }))
  )
  const program = nodeProgram(spec, addressOf)
  if (program.kind === "plain") return Effect.provide(program.run, ports)
  const server = layerHttpServer(place.host, process, program.port)
  return Effect.provide(program.run, Layer.mergeAll(ports, server, layerStore(place.disk)))
}

export const actorEffect = (
  lab: SimLab,
  spec: ActorSpec,
  place: Place,
  process: Process
): Effect.Effect<void, unknown> => {
  const addressOf = (host: string): string => lab.address(host)
  const program = actorProgram(spec.kind, fillIn(spec.params, addressOf))
  if (program === undefined) return Effect.die(new Error(`actor ${spec.name}: there is no kind "${spec.kind}"`))
  const directory = Directory.of({
    self: spec.name,
    host: spec.host,
    address: addressOf,
    tunnelAddress: (host) => lab.tunnelAddress(host),
    worldNs: () => lab.kernel.nowNs
  })
  const ports = Layer.mergeAll(
    basePorts(lab, spec.name, place, process),
    spec.over === "network" ? place.udp.layer(process) : place.tun.layerUdp(process),
    Layer.succeed(Directory)(directory)
  )
  return Effect.provide(program, ports)
}
