import { scenarioByName } from "@horizon/scenarios/registry.ts"
import { expect, test } from "vitest"
import { makeSimulated } from "../world/simulated.ts"
import { type Balance, balancesOf } from "./ledger.ts"
import { NodeFigures, type Snapshot } from "./node-figures.ts"

const NOTHING: Snapshot = { monotonicNs: 0, values: new Map() }
/** What a node of a new life has said less of than the one before. */
const LIFE = "udp.packets-out"

/** All balances of all gateways and clients of a simulated run: from the start of each life to its first snapshot, and from each to the next. */
const balancesIn = async (name: string): Promise<ReadonlyArray<Balance>> => {
  const { trace } = await makeSimulated({ crypto: "stub" }).run({ scenario: scenarioByName(name)!, seed: 3 })
  const figures = new Map<string, NodeFigures>()
  for (const { atNs, ...event } of trace.events) {
    const own = figures.get(event.node) ?? new NodeFigures()
    figures.set(event.node, own)
    for (const kind of KINDS) own.take(kind, { ...event, monotonicNs: atNs })
  }
  return [...figures.values()].flatMap((own) => KINDS.flatMap((kind) => balancesOfLives(kind, own.of(kind))))
}
const KINDS = ["gateway", "client"] as const

const balancesOfLives = (kind: string, snapshots: ReadonlyArray<Snapshot>): ReadonlyArray<Balance> =>
  snapshots.flatMap((to, index) => {
    const before = snapshots[index - 1] ?? NOTHING
    const figure = `${kind}.${LIFE}`
    return balancesOf(kind, (to.values.get(figure) ?? 0) < (before.values.get(figure) ?? 0) ? NOTHING : before, to)
  })

test.each(["lossy-wifi", "gateway-crash-restart", "one-way-partition", "nat-rebinding", "paused-client"])(
  "in the simulated world the books of all nodes balance from their start on, whatever strikes: %s",
  { timeout: 60_000 },
  async (name) => {
    const balances = await balancesIn(name)
    expect(balances.filter(({ unexplained }) => unexplained !== 0)).toEqual([])
    const own = new Set(balances.flatMap(({ kept, made }) => [...Object.keys(kept), ...Object.keys(made)]))
    expect([...own]).toEqual(
      expect.arrayContaining(
        ["handshake", "probe", "proof", "session"].flatMap((kind) => {
          const what = kind === "session" ? "control" : "packets"
          return [`${kind}.${what}-in`, `${kind}.${what}-out`]
        })
      )
    )
    expect(balances.reduce((sum, { packetsIn }) => sum + packetsIn, 0)).toBeGreaterThan(1_000)
  }
)
