/**
 * An outage of the HTTP service on a host, made with nftables in front of the process, which runs on and knows nothing of it: as on a real
 * network, and over its restarts.
 *
 * - `down`: every packet to the port is answered with a reset, so connections are refused and those that stand break.
 * - `half`: connections are accepted, and what is said on them never arrives. When the outage is over they are reset: what was asked in it
 *   stays without an answer, and must not be answered late.
 */

import type { OutageFault } from "@horizon/core/lab/fault.ts"
import { run } from "../command.ts"

/** Packets above this hold more than a handshake or an acknowledgement: IP and TCP headers with all options that are in use. */
const EMPTY_BYTES_MAX = 100
/** How long connections that were ignored are remembered after the outage; clients give up sooner. */
const REMEMBERED_S = 120
const CONNECTIONS_MAX = 65_535

export class Outage {
  private readonly enter: ReadonlyArray<string>
  private readonly port: number

  /** Of the service at `port` of the host to which `enter` leads. */
  constructor(enter: ReadonlyArray<string>, port: number) {
    this.enter = enter
    this.port = port
  }

  /** Begins. */
  async begin(mode: OutageFault["mode"]): Promise<void> {
    await this.load(mode === "down" ? this.refuse() : this.ignore())
  }

  /** Takes it back. */
  async end(): Promise<void> {
    await this.load(`${this.addressed()} @ignored reject with tcp reset`)
  }

  private refuse(): string {
    return `tcp dport ${this.port} reject with tcp reset`
  }

  private ignore(): string {
    const asks = `tcp dport ${this.port} tcp flags & (syn | rst) == 0 meta length > ${EMPTY_BYTES_MAX}`
    return `${asks} add @ignored { ip saddr . tcp sport } drop`
  }

  private addressed(): string {
    return `tcp dport ${this.port} tcp flags & syn == 0 ip saddr . tcp sport`
  }

  /** Puts one rule into force instead of the one before; the connections that were ignored stay remembered. */
  private async load(rule: string): Promise<void> {
    const table = `ip horizon_outage_${this.port}`
    const input = `
      table ${table} {
        set ignored {
          type ipv4_addr . inet_service
          flags dynamic, timeout
          timeout ${REMEMBERED_S}s
          size ${CONNECTIONS_MAX}
        }
        chain input { type filter hook input priority filter - 10; policy accept; }
      }
      flush chain ${table} input
      add rule ${table} input ${rule}
      `
    await run([...this.enter, "nft", "-f", "-"], { input })
  }
}
