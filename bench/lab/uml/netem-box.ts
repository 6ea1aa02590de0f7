/**
 * Link driver `box`: netem for a kernel that has none. The frames of each access link cross a guest whose kernel has it, while everything
 * at its ends stays here.
 *
 *     host eth0 ═ TAP ═ h0 ┐ br0 ┌ s0 ═ TAP ═ p3 switch        (h0, br0, s0: in the guest)
 *                          └─────┘
 *
 * The guest's kernel makes both TAP devices in a namespace of the box and keeps their other sides; then they move to where the link has
 * its ends. Upwards a frame is impaired on the egress of s0, downwards on that of h0. Segmentation offloads are off on every device,
 * because netem would lose, delay and count several packets as one.
 *
 * A guest has one processor; frames for which it comes too late are dropped at the TAPs, and counted. The ends of a link must stay up, or
 * the guest takes them for broken: a link is taken down at the switch.
 */

import type { LinkSpec } from "@horizon/core/link/spec.ts"
import { forEachFew, run } from "../command.ts"
import { ImpairedDevice } from "../impaired-device.ts"
import { LabError } from "../lab-error.ts"
import type { LinkCount, LinkDriver, LinkEnd, LinkEnds, LinkWay, MakeLinkDriver } from "../link-driver.ts"
import { ipBatch, runIn } from "../network-tools.ts"
import { recordNamespaces } from "../registry.ts"
import { type DeviceCount, deviceCounts, toCount } from "../veth.ts"
import { bootGuest, type Guest, guestMissing } from "./guest.ts"
import { GuestTc } from "./guest-tc.ts"

/** Links of one guest: the words for its kernel end at 4,096 bytes. */
const BOX_LINKS_MAX = 40
/** Enough for a second of packets on their way at a gigabit per second. */
const MEMORY_MIB = 512
/** Frames that the guest takes from a TAP, or gives to one, at once. */
const DEPTH = 128
/** Frames that wait at a TAP while the host's processors do other things. */
const WAITING_FRAMES_MAX = 4_000
const MODULES = ["bridge", "sch_netem", "sch_tbf", "sch_codel"]

type LinkCounts = Readonly<Record<LinkWay, LinkCount>>

export const makeBoxDriver: MakeLinkDriver = async (lab, links): Promise<LinkDriver> => {
  const missing = guestMissing()
  if (missing !== undefined) throw new LabError("missing", `link driver "box": ${missing}`)
  const boxes: Array<Box> = []
  for (let from = 0; from < links.length; from += BOX_LINKS_MAX)
    // No host's namespace has such a name.
    boxes.push(new Box(`${lab}.-box${boxes.length}`, links.slice(from, from + BOX_LINKS_MAX)))
  const close = async (): Promise<void> => {
    await Promise.all(boxes.map((box) => box.close()))
  }
  try {
    const namespaces = boxes.map(({ namespace }) => namespace)
    recordNamespaces(lab, namespaces)
    for (const box of boxes) await box.open()
  } catch (cause) {
    await close()
    throw cause
  }
  return {
    name: "box",
    configure: async (link, way, spec) => {
      const box = boxes.find((one) => one.links.has(link))
      if (box === undefined) throw new LabError("failed", `link ${link}: this lab has none of that name`)
      return box.configure(link, way, spec)
    },
    counts: async () => new Map((await Promise.all(boxes.map((box) => box.counts()))).flatMap((one) => [...one])),
    close
  }
}

/** One end of a link: its TAP on this host, and that one's other side in the guest. */
interface BoxEnd {
  readonly end: LinkEnd
  /** Number of the guest's device when it boots. */
  readonly number: number
  /** Its name afterwards. */
  readonly device: string
}

interface BoxLink {
  readonly bridge: string
  readonly host: BoxEnd
  readonly subnet: BoxEnd
}

/** A guest and the links that it carries. */
class Box {
  readonly namespace: string
  readonly links: ReadonlyMap<string, BoxLink>
  private readonly ways = new Map<string, Readonly<Record<LinkWay, ImpairedDevice>>>()
  private guest: Guest | undefined

  constructor(namespace: string, links: ReadonlyArray<LinkEnds>) {
    this.namespace = namespace
    this.links = new Map(
      links.map(({ host, name, subnet }, index) => [
        name,
        {
          bridge: `br${index}`,
          host: { end: host, number: 2 * index, device: `h${index}` },
          subnet: { end: subnet, number: 2 * index + 1, device: `s${index}` }
        }
      ])
    )
  }

  async open(): Promise<void> {
    await run(["ip", "netns", "add", this.namespace])
    const links = [...this.links.values()]
    const ends = links.flatMap(({ host, subnet }) => [host, subnet])
    const guest = await bootGuest({
      memoryMiB: MEMORY_MIB,
      namespace: this.namespace,
      kernelWords: ends.map(({ number }) => `vec${number}:transport=tap,ifname=${tap(number)},depth=${DEPTH}`),
      modules: MODULES
    })
    this.guest = guest
    // A neighbour solicitation of a bridge would be a packet that no other world has.
    const ipv6Off = ["all", "default"].map((scope) => `net.ipv6.conf.${scope}.disable_ipv6=1`)
    await guest.must("sysctl", ["-q", "-e", "-w", ...ipv6Off])
    // A TAP is made when the guest's device comes up.
    await guest.must("ip", ["-batch", "-"], lines(links.flatMap(joined)))
    // Received frames are handled by threads, not in interrupts, where user-mode Linux can forget other devices that have something too.
    const threaded = ends.map(({ device }) => `/sys/class/net/${device}/threaded`)
    await guest.must("tee", threaded, "1")
    await this.handOver(ends)
    // Only now: a TAP that is down refuses a frame, and the guest takes none from that device any more.
    await guest.must("ip", ["-batch", "-"], lines(links.map(({ bridge }) => `link set dev ${bridge} up`)))
    const tools = {
      tc: new GuestTc(guest).exec,
      nft: (args: ReadonlyArray<string>, script?: string) => guest.must("nft", args, script)
    }
    for (const [name, { host, subnet }] of this.links)
      this.ways.set(name, {
        up: new ImpairedDevice(`${name}/up`, subnet.device, tools),
        down: new ImpairedDevice(`${name}/down`, host.device, tools)
      })
  }

  configure(name: string, way: LinkWay, spec: LinkSpec): Promise<ReadonlyArray<string>> {
    return this.ways.get(name)![way].configure(spec)
  }

  async counts(): Promise<ReadonlyMap<string, LinkCounts>> {
    const said = await this.guest!.must("ip", ["-j", "-s", "link", "show"])
    const inside = new Map(
      (JSON.parse(said) as ReadonlyArray<DeviceJson>).map((one) => [one.ifname, toCount(one.stats64)])
    )
    const late = await this.lateFrames()
    const counts = new Map<string, LinkCounts>()
    for (const [name, { host, subnet }] of this.links) {
      const count = async (way: LinkWay, entry: BoxEnd, exit: BoxEnd): Promise<LinkCount> => {
        const { dropped, marked, overlimits } = await this.ways.get(name)![way].count()
        const { sent, sentBytes } = inside.get(exit.device)!
        const overrun = late(entry.end)
        return { packets: sent, bytes: sentBytes, dropped: dropped + overrun, overrun, overlimits, marked }
      }
      counts.set(name, { up: await count("up", host, subnet), down: await count("down", subnet, host) })
    }
    return counts
  }

  async close(): Promise<void> {
    // The TAPs end with the guest.
    await this.guest?.close()
    await run(["ip", "netns", "del", this.namespace]).catch(() => {})
  }

  /** Moves the TAPs to the ends of their links. */
  private async handOver(ends: ReadonlyArray<BoxEnd>): Promise<void> {
    await ipBatch(
      ends.flatMap(({ end, number }) => [
        `link set dev ${tap(number)} txqueuelen ${WAITING_FRAMES_MAX}`,
        `link set dev ${tap(number)} netns ${end.namespace} name ${end.device}`
      ]),
      this.namespace
    )
    await forEachFew(ends, async ({ end }) => {
      // Without checksums of the device there is no segmentation by it either; and what netem corrupts is found out by its receiver.
      await runIn(end.namespace, ["ethtool", "-K", end.device, "tx", "off"])
      await ipBatch([`link set dev ${end.device} up`], end.namespace)
    })
  }

  /** Frames that found no room at a TAP. */
  private async lateFrames(): Promise<(end: LinkEnd) => number> {
    const devices = new Map<string, ReadonlyMap<string, DeviceCount>>()
    const ends = [...this.links.values()].flatMap(({ host, subnet }) => [host.end, subnet.end])
    await forEachFew([...new Set(ends.map(({ namespace }) => namespace))], async (namespace) =>
      devices.set(namespace, await deviceCounts(namespace))
    )
    return ({ device, namespace }) => devices.get(namespace)?.get(device)?.dropped ?? 0
  }
}

interface DeviceJson {
  readonly ifname: string
  readonly stats64: Parameters<typeof toCount>[0]
}

/** Name of a TAP until it moves. */
const tap = (number: number): string => `t${number}`

/** What joins a link's devices in the guest: a bridge with two ports passes every frame on to the other one and need not learn. */
const joined = ({ bridge, host, subnet }: BoxLink): ReadonlyArray<string> => [
  `link add name ${bridge} type bridge stp_state 0 mcast_snooping 0`,
  ...[host, subnet].flatMap(({ device, number }) => [
    // Nothing is put together again that came in pieces.
    `link set dev vec${number} gro_max_size 1 name ${device}`,
    `link set dev ${device} up`,
    `link set dev ${device} master ${bridge}`,
    `link set dev ${device} type bridge_slave learning off`
  ])
]

const lines = (all: ReadonlyArray<string>): string => all.map((line) => `${line}\n`).join("")
