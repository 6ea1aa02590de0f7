/**
 * Link driver `plain`: a veth pair for each access link and nothing else, at the machine's full speed with all offloads. Refuses every
 * impairment, so that a scenario that asks for one cannot pass for it by accident.
 */

import { LabError } from "./lab-error.ts"
import type { LinkCount, LinkDriver, LinkEnds, MakeLinkDriver } from "./link-driver.ts"
import { isPerfect } from "./tc-held.ts"
import { countLinks, makePairs, removeLinks } from "./veth.ts"

export const makePlainDriver: MakeLinkDriver = async (_lab, links): Promise<LinkDriver> => {
  const close = (): Promise<void> => removeLinks(links)
  try {
    await makePairs(links.map(({ host, subnet }) => [subnet, host]))
  } catch (cause) {
    await close().catch(() => {})
    throw cause
  }
  return plainDriver(links, close)
}

/** The driver for pairs that are there already. */
export const plainDriver = (links: ReadonlyArray<LinkEnds>, close: LinkDriver["close"]): LinkDriver => ({
  name: "plain",
  configure: async (link, way, spec) => {
    if (!isPerfect(spec) || (spec.mtuBytes !== 0 && spec.mtuBytes !== MTU_BYTES))
      throw new LabError(
        "failed",
        `link ${link}/${way}: the driver "plain" has perfect links only; give the driver "tc", "box" or "link"`
      )
    return []
  },
  // A packet that a program sent in one large piece counts as one.
  counts: () =>
    countLinks(links, ({ subnet }, way, devices): LinkCount => {
      const device = devices.get(subnet.device)
      if (device === undefined) throw new LabError("failed", `device ${subnet.device} of ${subnet.namespace} is gone`)
      return way === "up"
        ? { packets: device.received, bytes: device.receivedBytes, dropped: 0 }
        : { packets: device.sent, bytes: device.sentBytes, dropped: device.dropped }
    }),
  close
})

/** What a veth device starts with. */
const MTU_BYTES = 1500
