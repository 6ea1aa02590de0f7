/**
 * Link driver `tc`: the running kernel's netem, tbf and codel on the frames of each access link.
 *
 *     host eth0 ── p3h ┐ br ┌ p3m ── p3 switch
 *                      └────┘
 *
 * A sender's own device would be the wrong place for a qdisc: a program may send many packets as one large one, which is cut only
 * after the qdisc, so one lot of loss would take them all. Offloads of the host's end are off, so `eth0` cuts before `p3h`, and both
 * ways are impaired in the middle, where each frame is one packet: upwards on the egress of `p3m`, downwards on that of `p3h`.
 */

import type { LinkSpec } from "@horizon/core/link/spec.ts"
import { forEachFew, ipBatch, run, runIn } from "./command.ts"
import { LabError } from "./lab-error.ts"
import type { LinkCount, LinkDriver, LinkEnd, LinkEnds, LinkWay, MakeLinkDriver } from "./link-driver.ts"
import { limitMtu, mtuDrops } from "./mtu-limit.ts"
import type { StackCount, TcExec } from "./tc-held.ts"
import type { HeldQdisc } from "./tc-settings.ts"
import { TcWay } from "./tc-way.ts"
import { countLinks, LINK_GROUP, makePairs, removeLinks } from "./veth.ts"

/** Whether the running kernel has a qdisc; looked at in a namespace of its own, which is gone at once. Needs root. */
export const kernelHasQdisc = async (kind: "netem" | "tbf" | "codel"): Promise<boolean> => {
  const least = { netem: [], tbf: ["rate", "1mbit", "burst", "2000", "limit", "2000"], codel: [] }[kind]
  try {
    await run("unshare", ["--net", "tc", "qdisc", "add", "dev", "lo", "root", kind, ...least])
    return true
  } catch (cause) {
    if ((cause as LabError).reason === "missing" || !UNKNOWN_QDISC.test((cause as Error).message)) throw cause
    return false
  }
}

/** What recent and older kernels answer. */
const UNKNOWN_QDISC = /qdisc kind is unknown|RTNETLINK answers: No such file or directory/

export const makeTcDriver: MakeLinkDriver = async (_lab, links): Promise<LinkDriver> => {
  const ways = new Map<string, Way>()
  for (const link of links)
    for (const way of ["up", "down"] as const) ways.set(`${link.name}/${way}`, new Way(link, way))
  const close = (): Promise<void> => removeLinks(links)
  try {
    await makePairs(
      links.flatMap((link) => [[toHost(link), link.host] as const, [link.subnet, toSwitch(link)] as const])
    )
    await joinPairs(links)
    await forEachFew(links, ({ host }) => runIn(host.namespace, "ethtool", ["-K", host.device, ...WHOLE_PACKETS]))
  } catch (cause) {
    await close().catch(() => {})
    throw cause
  }
  return {
    name: "tc",
    configure: (link, way, spec) => {
      const one = ways.get(`${link}/${way}`)
      return one === undefined ? Promise.reject(unknown(link)) : one.configure(spec)
    },
    counts: async () => {
      const held = await heldIn(links)
      const stacks = new Map<string, StackCount>()
      for (const [name, way] of ways) stacks.set(name, await way.count(held))
      return countLinks(links, (link, way, devices): LinkCount => {
        const device = devices.get(egress(link, way).device)
        if (device === undefined) throw unknown(link.name)
        const { dropped, marked, overlimits } = stacks.get(`${link.name}/${way}`)!
        // What the qdiscs let through is what the device has sent.
        return { packets: device.sent, bytes: device.sentBytes, dropped, overlimits, marked }
      })
    },
    close
  }
}

/** One way of one link: qdiscs, and a limit of the packets' size. */
class Way {
  private readonly end: LinkEnd
  private readonly tc: TcWay
  private limited = false
  /** What limits that have been replaced dropped. */
  private tooLong = 0

  constructor(link: LinkEnds, way: LinkWay) {
    this.end = egress(link, way)
    const exec: TcExec = (args) => run("tc", ["-n", this.end.namespace, ...args])
    this.tc = new TcWay(`${link.name}/${way}`, this.end.device, exec)
  }

  async configure(spec: LinkSpec): Promise<ReadonlyArray<string>> {
    const limits = spec.mtuBytes > 0 && spec.mtuBytes < MTU_BYTES
    if (limits || this.limited) {
      this.tooLong = await this.drops()
      await limitMtu(this.end, limits ? spec.mtuBytes : 0)
      this.limited = limits
    }
    return [...mtuNotes(spec, limits), ...(await this.tc.configure(spec))]
  }

  async count(held: HeldByDevice): Promise<StackCount> {
    const count = await this.tc.count(held.get(`${this.end.namespace} ${this.end.device}`) ?? [])
    return { ...count, dropped: count.dropped + (await this.drops()) }
  }

  private async drops(): Promise<number> {
    return this.tooLong + (this.limited ? await mtuDrops(this.end) : 0)
  }
}

/** By namespace and device. */
type HeldByDevice = ReadonlyMap<string, ReadonlyArray<HeldQdisc>>

/** All qdiscs of the switches' namespaces, in one question for each. */
const heldIn = async (links: ReadonlyArray<LinkEnds>): Promise<HeldByDevice> => {
  const held = new Map<string, Array<HeldQdisc>>()
  for (const namespace of new Set(links.map(({ subnet }) => subnet.namespace))) {
    const all = JSON.parse(await run("tc", ["-n", namespace, "-j", "-d", "-r", "-s", "qdisc", "show"]))
    for (const qdisc of all as ReadonlyArray<HeldQdisc & { readonly dev: string }>) {
      const name = `${namespace} ${qdisc.dev}`
      held.set(name, [...(held.get(name) ?? []), qdisc])
    }
  }
  return held
}

/** What a veth device starts with. */
const MTU_BYTES = 1500

/** Offloads by which several packets would pass as one. */
const WHOLE_PACKETS = ["tso", "off", "gso", "off", "gro", "off", "tx-udp-segmentation", "off"]

const mtuNotes = (spec: LinkSpec, limits: boolean): ReadonlyArray<string> => {
  if (spec.mtuBytes > MTU_BYTES) return [`mtuBytes: the devices pass ${MTU_BYTES} bytes`]
  return limits && spec.mtuAnswer ? ["mtuAnswer: what is too long vanishes without an answer"] : []
}

const middle = (link: LinkEnds, letter: string): LinkEnd => ({
  namespace: link.subnet.namespace,
  device: `${link.subnet.device}${letter}`
})
const toHost = (link: LinkEnds): LinkEnd => middle(link, "h")
const toSwitch = (link: LinkEnds): LinkEnd => middle(link, "m")
const bridge = (link: LinkEnds): LinkEnd => middle(link, "b")

/** The device on whose egress one way is impaired. */
const egress = (link: LinkEnds, way: LinkWay): LinkEnd => (way === "up" ? toSwitch(link) : toHost(link))

/** A bridge of two ports passes every frame on to the other one, so it need not learn. */
const joinPairs = async (links: ReadonlyArray<LinkEnds>): Promise<void> => {
  const lines = links.flatMap((link) => [
    `link add ${bridge(link).device} group ${LINK_GROUP} type bridge stp_state 0 mcast_snooping 0`,
    `link set dev ${bridge(link).device} mtu ${MIDDLE_MTU_BYTES} up`,
    ...[toHost(link), toSwitch(link)].flatMap(({ device }) => [
      `link set dev ${device} mtu ${MIDDLE_MTU_BYTES} up`,
      `link set dev ${device} master ${bridge(link).device}`,
      `link set dev ${device} type bridge_slave learning off`
    ])
  ])
  const [first] = links
  if (first !== undefined) await ipBatch(lines, first.subnet.namespace)
}

/** The middle passes whatever the ends do. */
const MIDDLE_MTU_BYTES = 65_535

const unknown = (link: string): LabError => new LabError("failed", `link ${link}: this lab has none of that name`)
