/**
 * The largest IP packet that a device of a switch's namespace sends, as nftables rules for bridges: a device's own MTU would hold for
 * both ways, let some bytes more pass, and tell the sender, which a link may not do.
 */

import { nft, runIn } from "./command.ts"
import type { LinkEnd } from "./link-driver.ts"

/** Sets the limit; 0 takes it away. */
export const limitMtu = async ({ device, namespace }: LinkEnd, bytes: number): Promise<void> => {
  const table = tableOf(device)
  // Deleting what is not there is an error, so it is made first.
  const clear = `table bridge ${table} {}\ndelete table bridge ${table}\n`
  const limit = `table bridge ${table} {
  chain out {
    type filter hook postrouting priority 10
    oifname "${device}" meta length > ${bytes} counter drop
  }
}
`
  await nft(namespace, bytes === 0 ? clear : `${clear}${limit}`)
}

/** How many packets the limit in force has dropped; 0 if there is none. */
export const mtuDrops = async ({ device, namespace }: LinkEnd): Promise<number> => {
  const said = await runIn(namespace, "nft", ["list", "tables", "bridge"])
  if (!said.includes(`${tableOf(device)}\n`)) return 0
  const listing = await runIn(namespace, "nft", ["list", "table", "bridge", tableOf(device)])
  return Number(/counter packets (\d+)/.exec(listing)?.[1] ?? 0)
}

const tableOf = (device: string): string => `mtu_${device}`
