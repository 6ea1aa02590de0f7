/** A link driver for some links and veth pairs for the others, so that what is measured is one link and not two. */

import { makePlainDriver } from "../lab/driver-plain.ts"
import type { LinkDriver, MakeLinkDriver } from "../lab/link-driver.ts"

/** Links whose names are in `plain` are perfect and the kernel's own; the others are of `make`. */
export const besidePlain =
  (plain: ReadonlySet<string>, make: MakeLinkDriver): MakeLinkDriver =>
  async (lab, links) => {
    const ours = await make(
      lab,
      links.filter(({ name }) => !plain.has(name))
    )
    let others: LinkDriver
    try {
      others = await makePlainDriver(
        lab,
        links.filter(({ name }) => plain.has(name))
      )
    } catch (cause) {
      await ours.close()
      throw cause
    }
    return {
      name: ours.name,
      configure: (link, way, spec) => (plain.has(link) ? others : ours).configure(link, way, spec),
      counts: async () => new Map([...(await ours.counts()), ...(await others.counts())]),
      close: async () => {
        await Promise.all([ours.close(), others.close()])
      }
    }
  }
