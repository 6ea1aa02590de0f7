/** Access links as pairs of virtual Ethernet devices: what the drivers `plain` and `tc` stand on. */

import { existsSync } from "node:fs"
import { run } from "./command.ts"
import type { LinkCount, LinkEnd, LinkEnds, LinkWay } from "./link-driver.ts"
import { ipBatch } from "./network-tools.ts"

/** One device's counters, as the kernel keeps them. Bytes are of IP packets. */
export interface DeviceCount {
  readonly sent: number
  readonly sentBytes: number
  readonly received: number
  readonly receivedBytes: number
  /** Thrown away at this device, in either way. */
  readonly dropped: number
}

/** Device group of everything that a driver makes in the switch's namespace: the kernel removes a group at once, single devices slowly. */
export const LINK_GROUP = 0x687a

/** Makes pairs of devices, both ends up; the first ends are in the group, and the second ends go with them. */
export const makePairs = async (pairs: ReadonlyArray<readonly [LinkEnd, LinkEnd]>): Promise<void> => {
  for (const [namespace, ours] of groupBy(pairs, ([first]) => first.namespace))
    await ipBatch(
      ours.flatMap(([first, second]) => [
        `link add ${first.device} group ${LINK_GROUP} type veth peer name ${second.device} netns ${second.namespace}`,
        `link set dev ${first.device} up`
      ]),
      namespace
    )
}

/** Takes the devices of the group in the switches' namespaces away; a namespace that is gone has none. */
export const removeLinks = async (links: ReadonlyArray<LinkEnds>): Promise<void> => {
  for (const namespace of new Set(links.map(({ subnet }) => subnet.namespace)))
    if (existsSync(`/run/netns/${namespace}`))
      await run(["ip", "-n", namespace, "link", "del", "group", `${LINK_GROUP}`])
}

/** Takes single devices away; those that are not there any more do not matter. */
export const removeDevices = async (ends: ReadonlyArray<LinkEnd>): Promise<void> => {
  for (const [namespace, ours] of groupBy(ends, (end) => end.namespace))
    await run(["ip", "-n", namespace, "-force", "-batch", "-"], {
      input: ours.map(({ device }) => `link del dev ${device}\n`).join("")
    }).catch(() => {})
}

/** The counters of every device of a namespace. */
export const deviceCounts = async (namespace: string): Promise<ReadonlyMap<string, DeviceCount>> => {
  const said = JSON.parse(await run(["ip", "-n", namespace, "-j", "-s", "link", "show"])) as ReadonlyArray<DeviceJson>
  return new Map(said.filter(({ stats64 }) => stats64 !== undefined).map((one) => [one.ifname, toCount(one.stats64!)]))
}

/** Counts of links by their ends in the switches' namespaces, where each way is one way of one device. */
export const countLinks = async (
  links: ReadonlyArray<LinkEnds>,
  count: (link: LinkEnds, way: LinkWay, devices: ReadonlyMap<string, DeviceCount>) => LinkCount
): Promise<ReadonlyMap<string, Readonly<Record<LinkWay, LinkCount>>>> => {
  const counts = new Map<string, Readonly<Record<LinkWay, LinkCount>>>()
  for (const [namespace, ours] of groupBy(links, ({ subnet }) => subnet.namespace)) {
    const devices = await deviceCounts(namespace)
    for (const link of ours)
      counts.set(link.name, { up: count(link, "up", devices), down: count(link, "down", devices) })
  }
  return counts
}

/** Items by a name that they have, in the order of first appearance. */
const groupBy = <T>(items: ReadonlyArray<T>, nameOf: (item: T) => string): ReadonlyMap<string, ReadonlyArray<T>> => {
  const groups = new Map<string, Array<T>>()
  for (const item of items) {
    const group = groups.get(nameOf(item))
    if (group === undefined) groups.set(nameOf(item), [item])
    else group.push(item)
  }
  return groups
}

/** An Ethernet header, which devices count and a LinkSpec does not. */
const ETHERNET_HEADER_BYTES = 14

interface DeviceJson {
  readonly ifname: string
  readonly stats64?: Readonly<
    Record<"rx" | "tx", { readonly bytes: number; readonly packets: number; readonly dropped: number }>
  >
}

export const toCount = ({ rx, tx }: NonNullable<DeviceJson["stats64"]>): DeviceCount => ({
  sent: tx.packets,
  sentBytes: tx.bytes - tx.packets * ETHERNET_HEADER_BYTES,
  received: rx.packets,
  receivedBytes: rx.bytes - rx.packets * ETHERNET_HEADER_BYTES,
  dropped: tx.dropped + rx.dropped
})
