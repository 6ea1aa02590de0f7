/** A lab of network namespaces at work: the handles by which a world enters hosts, strikes faults and counts. */

import { randomInt } from "node:crypto"
import type { LinkSpec } from "@horizon/core/link/spec.ts"
import { formatV4 } from "@horizon/core/wire/address.ts"
import { forEachFew } from "./command.ts"
import { LabError } from "./lab-error.ts"
import type { LabNetwork, Undo } from "./lab-network.ts"
import type { LinkCount, LinkDriver, LinkWay } from "./link-driver.ts"
import { LinkState } from "./link-state.ts"
import { NAT_LISTING, NAT_SETTINGS, type NatOptions, natRebind, natRuleset, natWipe, nextZone } from "./nat.ts"
import type { InterfacePlan, NetnsPlan, NodePlan } from "./netns-plan.ts"
import { neighbour, neighboursOf, portState } from "./netns-script.ts"
import { bridgeBatch, entering, ipBatch, nft, runIn } from "./network-tools.ts"
import { type Cut, partitionRuleset } from "./partition-rules.ts"
import { isPerfect } from "./tc-held.ts"

const NO_COUNT: LinkCount = { packets: 0, bytes: 0, dropped: 0 }

export class NetnsLab implements LabNetwork {
  readonly id: string
  readonly driver: LinkDriver["name"]
  private readonly plan: NetnsPlan
  private readonly links: LinkDriver
  private readonly takeAway: () => Promise<void>
  private readonly states = new Map<string, Readonly<Record<LinkWay, LinkState>>>()
  private readonly noted = new Set<string>()
  /** Ports that are out of their switch, by how many faults. */
  private readonly downs = new Map<string, number>()
  private cuts: ReadonlyArray<Cut> = []
  /** Zone of connection tracking of each NAT. */
  private readonly zones = new Map<string, number>()
  /** Present address of each host. */
  private readonly addresses = new Map<string, string>()
  /** What was somebody's once is not given out again. */
  private readonly used: Set<string>
  /** Faults take hold in the order in which they strike. */
  private turn: Promise<unknown> = Promise.resolve()
  private closing: Promise<void> | undefined

  /** `takeAway` ends everything that stands. */
  constructor(plan: NetnsPlan, links: LinkDriver, takeAway: () => Promise<void>) {
    this.id = plan.lab
    this.plan = plan
    this.links = links
    this.takeAway = takeAway
    this.driver = links.name
    this.used = new Set(plan.nodes.flatMap(({ interfaces }) => interfaces.map((own) => `${own.subnet} ${own.address}`)))
    for (const node of plan.nodes) {
      if (!node.forwards) this.addresses.set(node.name, node.interfaces[0].address)
      for (const own of node.interfaces)
        this.states.set(own.name, { up: new LinkState(own.up, NO_COUNT), down: new LinkState(own.down, NO_COUNT) })
    }
  }

  /** NATs and links come into force. */
  async start(): Promise<void> {
    const nats = this.plan.nodes.filter(({ nat }) => nat !== undefined)
    await Promise.all([
      forEachFew(nats, (node) => this.startNat(node)),
      forEachFew([...this.states], ([name, state]) =>
        // Links are perfect at first.
        this.configure(
          name,
          (["up", "down"] as const).filter((way) => impairs(state[way].spec))
        )
      )
    ])
  }

  get notes(): ReadonlyArray<string> {
    return [...this.noted]
  }

  readonly enter = (host: string): ReadonlyArray<string> => {
    return entering(this.node(host).namespace)
  }

  readonly addressOf = (host: string): string => {
    this.host(host)
    return this.addresses.get(host)!
  }

  readonly deviceOf = (host: string): string => {
    return this.host(host).device
  }

  readonly changeLink = (name: string, way: LinkWay | "both", change: Partial<LinkSpec>): Promise<Undo> => {
    return this.next(async () => {
      const ways = way === "both" ? (["up", "down"] as const) : ([way] as const)
      const state = this.state(name)
      const undos = ways.map((one) => state[one].change(change))
      const undo = (): void => {
        for (const one of undos) one()
      }
      try {
        await this.reconfigure(name, ways)
      } catch (cause) {
        undo()
        await this.reconfigure(name, ways)
        throw cause
      }
      return this.once(async () => {
        undo()
        await this.reconfigure(name, ways)
      })
    })
  }

  readonly linkDown = (name: string): Promise<Undo> => {
    return this.next(async () => {
      const { port } = this.interface(name)
      const pull = async (by: number): Promise<void> => {
        const before = this.downs.get(port) ?? 0
        this.downs.set(port, before + by)
        if ((before === 0) !== (before + by === 0))
          await bridgeBatch([portState(port, before + by === 0)], this.plan.switch)
      }
      await pull(1)
      return this.once(() => pull(-1))
    })
  }

  readonly partition = (
    a: ReadonlyArray<string>,
    b: ReadonlyArray<string>,
    direction: "both" | "a-to-b"
  ): Promise<Undo> => {
    return this.next(async () => {
      const ours = [{ from: a, to: b }, ...(direction === "both" ? [{ from: b, to: a }] : [])]
      await this.setCuts([...this.cuts, ...ours])
      return this.once(() => this.setCuts(this.cuts.filter((cut) => !ours.includes(cut))))
    })
  }

  readonly natWipe = (router: string): Promise<void> => {
    return this.next(async () => {
      const { namespace, nat } = this.nat(router)
      await nft(namespace, natWipe(nat.kind, this.moveZone(router)))
    })
  }

  readonly natRebind = (router: string): Promise<void> => {
    return this.next(async () => {
      const { namespace, nat } = this.nat(router)
      const listing = await runIn(namespace, ["nft", ...NAT_LISTING])
      await nft(
        namespace,
        natRebind(nat.kind, listing, this.moveZone(router), (below) => randomInt(below))
      )
    })
  }

  readonly changeAddress = (host: string): Promise<string> => {
    return this.next(async () => {
      const node = this.node(host)
      const own = this.host(host)
      const before = this.addresses.get(host)!
      const after = this.freeAddress(own)
      const neighbours = neighboursOf(this.plan, own)
      await forEachFew(this.plan.nodes, async ({ interfaces, namespace }) => {
        const beside = interfaces.filter((one) => neighbours.includes(one))
        await ipBatch(
          beside.map(({ device }) => neighbour(device, after, own.mac)),
          namespace
        )
      })
      await ipBatch(
        [
          `addr add ${after}/${own.prefixLength} dev ${own.device}`,
          `addr del ${before}/${own.prefixLength} dev ${own.device}`,
          ...node.routes.map(({ to, via }) => `route replace ${to} via ${via}`)
        ],
        node.namespace
      )
      this.addresses.set(host, after)
      return after
    })
  }

  readonly counts = (): Promise<ReadonlyMap<string, Readonly<Record<LinkWay, LinkCount>>>> => {
    return this.next(async () => {
      const counts = await this.links.counts()
      refuse([...this.states].flatMap(([name, state]) => this.findings(name, state, counts.get(name))))
      return counts
    })
  }

  readonly close = (): Promise<void> => {
    this.closing ??= this.turn.then(this.takeAway)
    return this.closing
  }

  private async startNat(node: NodePlan): Promise<void> {
    const options = natOptions(node)
    this.zones.set(node.name, 1)
    await nft(node.namespace, natRuleset(options, 1))
    await runIn(node.namespace, ["sysctl", "-q", "-w", ...NAT_SETTINGS])
  }

  /** Puts the specs of a link's ways in force that are not yet, and judges what was in force until now. */
  private async reconfigure(name: string, ways: ReadonlyArray<LinkWay>): Promise<void> {
    const counts = (await this.links.counts()).get(name)
    const state = this.state(name)
    const findings = this.findings(name, state, counts)
    await this.configure(name, ways)
    for (const way of ways) state[way].enter(counts?.[way] ?? NO_COUNT)
    refuse(findings)
  }

  private async configure(name: string, ways: ReadonlyArray<LinkWay>): Promise<void> {
    for (const way of ways)
      for (const note of await this.links.configure(name, way, this.state(name)[way].spec))
        this.noted.add(`${name}/${way}: ${note}`)
  }

  /** What the links were asked to do and by their counts have not done. */
  private findings(
    name: string,
    state: Readonly<Record<LinkWay, LinkState>>,
    counts: Readonly<Record<LinkWay, LinkCount>> | undefined
  ): ReadonlyArray<string> {
    if (counts === undefined) return [`link ${name}: the driver "${this.driver}" has no counts of it`]
    return (["up", "down"] as const).flatMap((way) =>
      state[way]
        .findings(counts[way])
        .map((finding) => `link ${name}/${way}: the driver "${this.driver}" does not do what it was asked: ${finding}`)
    )
  }

  private async setCuts(cuts: ReadonlyArray<Cut>): Promise<void> {
    const ruleset = partitionRuleset(cuts, (host) => this.host(host).port)
    try {
      await nft(this.plan.switch, ruleset)
    } catch (cause) {
      if (!/No such file or directory|not supported/.test((cause as Error).message)) throw cause
      throw new LabError("missing", "partitions need nftables for bridges: a kernel with CONFIG_NF_TABLES_BRIDGE")
    }
    this.cuts = cuts
  }

  private moveZone(router: string): number {
    const zone = nextZone(this.zones.get(router)!)
    this.zones.set(router, zone)
    return zone
  }

  /** The lowest address of the interface's subnet that nobody has or had. */
  private freeAddress(own: InterfacePlan): string {
    const subnet = this.plan.subnets.get(own.subnet)!
    for (let address = subnet.base + 1; address < subnet.broadcast; address++) {
      const text = formatV4(address)
      if (this.used.has(`${own.subnet} ${text}`)) continue
      this.used.add(`${own.subnet} ${text}`)
      return text
    }
    throw new LabError("failed", `subnet ${own.subnet} has no free address left: give it a shorter prefix`)
  }

  private node(name: string): NodePlan {
    const node = this.plan.nodes.find((one) => one.name === name)
    if (node === undefined) throw new LabError("failed", `the topology has no host or router "${name}"`)
    return node
  }

  private host(name: string): InterfacePlan {
    const node = this.node(name)
    if (node.forwards) throw new LabError("failed", `"${name}" is a router, not a host`)
    return node.interfaces[0]
  }

  private interface(name: string): InterfacePlan {
    const found = this.plan.nodes.flatMap(({ interfaces }) => interfaces).find((own) => own.name === name)
    if (found === undefined) throw new LabError("failed", `the topology has no interface "${name}"`)
    return found
  }

  private state(name: string): Readonly<Record<LinkWay, LinkState>> {
    return this.states.get(this.interface(name).name)!
  }

  private nat(router: string): { readonly namespace: string; readonly nat: NatOptions } {
    const node = this.node(router)
    if (node.nat === undefined) throw new LabError("failed", `"${router}" is not a NAT`)
    return { namespace: node.namespace, nat: natOptions(node) }
  }

  private next<T>(work: () => Promise<T>): Promise<T> {
    if (this.closing !== undefined) return Promise.reject(new LabError("failed", `lab ${this.id} is closed`))
    const result = this.turn.then(work)
    this.turn = result.catch(() => {})
    return result
  }

  /** An undo that works once, and does nothing when the lab is gone. */
  private once(work: () => Promise<void>): Undo {
    let done: Promise<void> | undefined
    return () => {
      done ??= this.closing === undefined ? this.next(work) : Promise.resolve()
      return done
    }
  }
}

/** Whether a spec asks for more than a link is by itself. */
const impairs = (spec: LinkSpec): boolean => !isPerfect(spec) || (spec.mtuBytes !== 0 && spec.mtuBytes !== MTU_BYTES)

/** What devices start with. */
const MTU_BYTES = 1500

const refuse = (findings: ReadonlyArray<string>): void => {
  if (findings.length > 0) throw new LabError("failed", findings.join("; "))
}

/** What a NAT's router does, as its nftables rules want it. */
export const natOptions = ({ interfaces, nat }: NodePlan): NatOptions => {
  const { hairpin, kind, outside, udpTimeoutMs } = nat!
  const { address, device } = interfaces.find(({ subnet }) => subnet === outside)!
  return { kind, udpTimeoutMs, hairpin, outsideDevice: device, outsideAddress: address }
}
