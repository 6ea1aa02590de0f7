/** Gives a node or an actor of the loopback world its ports, and starts it on them. */

import { join } from "node:path"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { FaultPoints } from "@horizon/core/port/fault-points.ts"
import { Lifecycle } from "@horizon/core/port/lifecycle.ts"
import { Trace } from "@horizon/core/port/trace.ts"
import { layerEntropy } from "@horizon/real/entropy.ts"
import { layerHostFacts } from "@horizon/real/host-facts.ts"
import { layerKeys } from "@horizon/real/keys.ts"
import { openEngine } from "@horizon/real/store.ts"
import { Directory } from "@horizon/scenarios/actor/actor.ts"
import { actorProgram } from "@horizon/scenarios/actor/registry.ts"
import type { ActorSpec, NodeSpec } from "@horizon/scenarios/scenario.ts"
import { Disk } from "@horizon/sim/disk/disk.ts"
import { layerStore } from "@horizon/sim/port/store.ts"
import { Context, Effect, type Exit, Layer } from "effect"
import { fillIn, nodeProgram } from "../node-program.ts"
import type { LoopbackLab, Place } from "./lab.ts"
import type { Life } from "./life.ts"

type Ended = (exit: Exit.Exit<void, unknown>) => void

/** What every program in the lab gets. */
const basePorts = (lab: LoopbackLab, name: string, place: Place, life: Life) =>
  Layer.mergeAll(
    life.layerClock(),
    layerEntropy,
    layerKeys(join(lab.folder, name)),
    place.http.layerClient(life),
    Layer.succeed(Crypto)(lab.watch.crypto),
    Layer.succeedContext(
      Context.make(Trace, lab.writerOf(name)).pipe(Context.add(FaultPoints, (point: string) => lab.isPlanted(point)))
    )
  )

export const startNode = (
  lab: LoopbackLab,
  spec: NodeSpec,
  place: Place,
  life: Life,
  ready: () => void,
  ended: Ended
): void => {
  const program = nodeProgram(spec, (host) => lab.address(host))
  const ports = Layer.mergeAll(
    basePorts(lab, spec.name, place, life),
    place.udp.layer(life),
    place.tun.layerTun(life),
    layerHostFacts,
    Layer.succeedContext(Context.make(Lifecycle, { ready }))
  )
  if (program.kind === "plain") return life.start(ports, program.run, ended)
  const server = place.http.layerServer(life, program.port)
  life.start(Layer.mergeAll(ports, server, fileStore(lab, spec.name, place, life)), program.run, ended)
}

/** The production store on its file, with the statements' faults of the simulated one in front. */
const fileStore = (lab: LoopbackLab, name: string, place: Place, life: Life) =>
  Layer.unwrap(
    Effect.map(openEngine(`file:${join(lab.folder, `${name}.db`)}`), (engine) => {
      place.disk = new Disk({
        kernel: lab.kernel,
        host: life.process.name,
        openEngine: () => engine,
        // A real statement takes its own time.
        statementCostUs: 0
      })
      place.disk.storeFault = place.storeFault
      return layerStore(place.disk)
    })
  )

export const startActor = (lab: LoopbackLab, spec: ActorSpec, place: Place, life: Life, ended: Ended): void => {
  const addressOf = (host: string): string => lab.address(host)
  const program = actorProgram(spec.kind, fillIn(spec.params, addressOf))
  if (program === undefined) throw new Error(`actor ${spec.name}: there is no kind "${spec.kind}"`)
  const directory = Directory.of({
    self: spec.name,
    host: spec.host,
    address: addressOf,
    tunnelAddress: (host) => lab.tunnelAddress(host),
    worldNs: () => lab.nowNs()
  })
  const ports = Layer.mergeAll(
    basePorts(lab, spec.name, place, life),
    spec.over === "network" ? place.udp.layer(life) : place.tun.layerUdp(life),
    Layer.succeed(Directory)(directory)
  )
  life.start(ports, program, ended)
}
