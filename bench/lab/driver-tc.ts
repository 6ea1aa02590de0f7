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

import { forEachFew, run } from "./command.ts"
import { ImpairedDevice } from "./impaired-device.ts"
import { LabError } from "./lab-error.ts"
import type { LinkCount, LinkDriver, LinkEnd, LinkEnds, LinkWay, MakeLinkDriver } from "./link-driver.ts"
import { ipBatch, runIn } from "./network-tools.ts"
import type { StackCount } from "./tc-held.ts"
import type { HeldQdisc } from "./tc-settings.ts"
import { countLinks, LINK_GROUP, makePairs, removeLinks } from "./veth.ts"

/** Whether the running kernel has a qdisc; looked at in a namespace of its own, which is gone at once. Needs root. */
export const kernelHasQdisc = async (kind: "netem" | "tbf" | "codel"): Promise<boolean> => {
  const least = { netem: [], tbf: ["rate", "1mbit", "burst", "2000", "limit", "2000"], codel: [] }[kind]
  try {
    await run(["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", kind, ...least])
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
    for (const way of ["up", "down"] as const) ways.set(`${link.name}/${way}`, makeWay(link, way))
  const close = (): Promise<void> => removeLinks(links)
  try {
    await makePairs(
      links.flatMap((link) => [[toHost(link), link.host] as const, [link.subnet, toSwitch(link)] as const])
    )
    await joinPairs(links)
    await forEachFew(links, ({ host }) => runIn(host.namespace, ["ethtool", "-K", host.device, ...WHOLE_PACKETS]))
  } catch (cause) {
    await close().catch(() => {})
    throw cause
  }
  return {
    name: "tc",
    configure: (link, way, spec) => {
      const one = ways.get(`${link}/${way}`)
      return one === undefined ? Promise.reject(unknown(link)) : one.device.configure(spec)
    },
    counts: async () => {
      const held = await heldIn(links)
      const stacks = new Map<string, StackCount>()
      for (const [name, { device, namespace }] of ways)
        stacks.set(name, await device.count(held.get(`${namespace} ${device.device}`) ?? []))
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

interface Way {
  readonly namespace: string
  readonly device: ImpairedDevice
}

const makeWay = (link: LinkEnds, way: LinkWay): Way => {
  const { device, namespace } = egress(link, way)
  const tools = {
    tc: (args: ReadonlyArray<string>) => run(["tc", "-n", namespace, ...args]),
    nft: (args: ReadonlyArray<string>, script = "") => runIn(namespace, ["nft", ...args], { input: script })
  }
  return { namespace, device: new ImpairedDevice(`${link.name}/${way}`, device, tools) }
}

/** By namespace and device. */
type HeldByDevice = ReadonlyMap<string, ReadonlyArray<HeldQdisc>>

/** All qdiscs of the switches' namespaces, in one question for each. */
const heldIn = async (links: ReadonlyArray<LinkEnds>): Promise<HeldByDevice> => {
  const held = new Map<string, Array<HeldQdisc>>()
  for (const namespace of new Set(links.map(({ subnet }) => subnet.namespace))) {
    const all = JSON.parse(await run(["tc", "-n", namespace, "-j", "-d", "-r", "-s", "qdisc", "show"]))
    for (const qdisc of all as ReadonlyArray<HeldQdisc & { readonly dev: string }>) {
      const name = `${namespace} ${qdisc.dev}`
      held.set(name, [...(held.get(name) ?? []), qdisc])
    }
  }
  return held
}

/** Offloads by which several packets would pass as one. */
const WHOLE_PACKETS = ["tso", "off", "gso", "off", "gro", "off", "tx-udp-segmentation", "off"]

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
