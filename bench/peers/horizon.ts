/**
 * Horizon's own tunnel as it ships: a gateway whose host is in the network, and a client, as processes of the `horizon` command. The broker runs
 * beside the gateway and is not counted: it has nothing to do with packets.
 */

import { join } from "node:path"
import { nativeMissing } from "@horizon/real/native.ts"
import type { TraceEventLine } from "@horizon/real/trace.ts"
import { ADMIN_TOKEN, PERSONAL_KEY, REGISTRATION_KEY } from "@horizon/scenarios/plan.ts"
import type { NodeKind } from "@horizon/scenarios/scenario.ts"
import { LabError } from "../lab/lab-error.ts"
import { NodeProcess } from "../lab/process/node-process.ts"
import type { Pair, PairEnd } from "../net/pair.ts"
import { commit } from "../runner/provenance.ts"
import { makePeerFolder } from "./folder.ts"
import { type Peer, preparing, type Tunnel } from "./peer.ts"

const BROKER_PORT = 8420
const GATEWAY_PORT = 8421
const GATEWAY_ADDRESS = "10.77.0.1"
const READY_MS = 20_000

/** Horizon's own before path discovery, which fits every path; and WireGuard's, which fits Ethernet. */
const MTU_BYTES = 1_170
export const WIDE_MTU_BYTES = 1_420

const peer = (name: string, title: string, mtuBytes: number): Peer => ({
  name,
  title,
  kind: "horizon",
  prepare: () =>
    preparing(async () => {
      const missing = nativeMissing()
      if (missing !== undefined) throw new LabError("missing", missing)
      return { version: commit() }
    }),
  start: (pair) => startHorizon(pair, mtuBytes)
})

export const horizon = peer("horizon", "Horizon, MTU 1420", WIDE_MTU_BYTES)
export const horizonNarrow = peer("horizon-1170", "Horizon, MTU 1170", MTU_BYTES)

/** What who starts it wants to hear of the nodes. */
export interface HorizonWatch {
  /** How often gateway and client say their figures. */
  readonly sampleSeconds: number
  readonly onEvent: (node: string, line: TraceEventLine) => void
  /** Gets what a node says on standard error. */
  readonly onSaid: (node: string, text: string) => void
  /** A node has ended, or its trace is not whole. */
  readonly onTrouble: (sentence: string) => void
}

export interface HorizonTunnel extends Tunnel {
  /** Process ids by node: broker, gateway, client. */
  readonly pids: Readonly<Record<string, number>>
  /** The virtual interface at both ends. */
  readonly device: string
}

export const startHorizon = async (pair: Pair, mtuBytes: number, watch?: HorizonWatch): Promise<HorizonTunnel> => {
  const folder = makePeerFolder(pair.id)
  const nodes: Array<NodeProcess> = []
  const pids: Record<string, number> = {}
  let stopping = false
  const stop = async (): Promise<void> => {
    stopping = true
    for (const node of [...nodes].reverse()) await node.stop()
    folder.remove()
  }
  const brokerUrl = `http://${pair.a.address}:${BROKER_PORT}`
  const device = `${pair.id}t`
  const sampled = watch === undefined ? {} : { sampleSeconds: watch.sampleSeconds }
  const add = async (kind: NodeKind, end: PairEnd, config: Readonly<Record<string, unknown>>): Promise<Info> => {
    const { node, ready } = launch(kind, end, config, join(folder.path, kind), watch, () => stopping)
    nodes.push(node)
    pids[kind] = node.pid
    return ready
  }
  try {
    await add("broker", pair.a, {
      listenAddress: pair.a.address,
      port: BROKER_PORT,
      bootstrapAdminToken: ADMIN_TOKEN,
      bootstrapRegistrationKeys: [REGISTRATION_KEY],
      bootstrapPersonalKeys: [`bench@bench=${PERSONAL_KEY}`]
    })
    await add("gateway", pair.a, {
      name: "bench",
      brokerUrl,
      registrationKey: REGISTRATION_KEY,
      listenAddress: pair.a.address,
      port: GATEWAY_PORT,
      interface: device,
      mtuBytes,
      ...sampled
    })
    const client = { brokerUrl, personalKey: PERSONAL_KEY, interface: device, ...sampled }
    const { address } = await add("client", pair.b, client)
    return {
      addresses: { a: GATEWAY_ADDRESS, b: String(address).replace(/\/.*$/, "") },
      mtuBytes,
      processes: [
        { pid: pids["gateway"], end: "a" },
        { pid: pids["client"], end: "b" }
      ],
      pids,
      device,
      stop
    }
  } catch (error) {
    await stop()
    throw error
  }
}

type Info = Readonly<Record<string, string | number>>

const launch = (
  kind: NodeKind,
  end: PairEnd,
  config: Readonly<Record<string, unknown>>,
  directory: string,
  watch: HorizonWatch | undefined,
  isStopping: () => boolean
): { readonly node: NodeProcess; readonly ready: Promise<Info> } => {
  let settle: (info: Info | LabError) => void = () => {}
  const ready = new Promise<Info>((resolve, reject) => {
    settle = (outcome) => (outcome instanceof LabError ? reject(outcome) : resolve(outcome))
  })
  const late = setTimeout(
    () => settle(new LabError("failed", `horizon ${kind} did not serve within ${READY_MS / 1000} s`)),
    READY_MS
  )
  const node = new NodeProcess({
    spec: { name: kind, kind, host: kind, config },
    enter: end.enter,
    addressOf: () => end.address,
    directory,
    onEvent: (line) => watch?.onEvent(kind, line),
    onReady: (_, info) => {
      clearTimeout(late)
      settle(info)
    },
    onEnd: ({ lastWords }) => {
      clearTimeout(late)
      const sentence = `horizon ${kind} ended: ${lastWords || "it said nothing"}`
      settle(new LabError("failed", sentence))
      if (!isStopping()) watch?.onTrouble(sentence)
    },
    onBroken: (sentence) => watch?.onTrouble(`horizon ${kind}: ${sentence}`),
    ...(watch === undefined ? {} : { onSaid: (text: string) => watch.onSaid(kind, text) })
  })
  node.start()
  return { node, ready }
}
