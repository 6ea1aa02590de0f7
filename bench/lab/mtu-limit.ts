/**
 * The largest IP packet that a bridge's port sends, as nftables rules for bridges: a device's own MTU would hold for both ways, let some
 * bytes more pass, and tell the sender, which a link may not do.
 */

/** Runs `nft` with arguments, and a script as its standard input, where the device is; resolves with standard output. */
export type NftExec = (args: ReadonlyArray<string>, script?: string) => Promise<string>

export class MtuLimit {
  private readonly device: string
  private readonly exec: NftExec
  private limited = false
  /** What limits that have been replaced dropped. */
  private before = 0

  constructor(device: string, exec: NftExec) {
    this.device = device
    this.exec = exec
  }

  /** Sets the limit; 0 takes it away. */
  async set(bytes: number): Promise<void> {
    if (bytes === 0 && !this.limited) return
    this.before = await this.drops()
    const table = tableOf(this.device)
    // Deleting what is not there is an error, so it is made first.
    const clear = `table bridge ${table} {}\ndelete table bridge ${table}\n`
    const limit = `table bridge ${table} {
  chain out {
    type filter hook postrouting priority 10
    oifname "${this.device}" meta length > ${bytes} counter drop
  }
}
`
    await this.exec(["-f", "-"], bytes === 0 ? clear : `${clear}${limit}`)
    this.limited = bytes > 0
  }

  /** How many packets limits have dropped. */
  async drops(): Promise<number> {
    if (!this.limited) return this.before
    const listing = await this.exec(["list", "table", "bridge", tableOf(this.device)])
    return this.before + Number(/counter packets (\d+)/.exec(listing)?.[1] ?? 0)
  }
}

const tableOf = (device: string): string => `mtu_${device}`
