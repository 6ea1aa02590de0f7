/**
 * The gateway's own host as a member of its network: a virtual interface with the gateway's address. Plain calls on preallocated slots, as
 * between members; the switch decides what passes.
 */

import type { TunnelSwitch } from "@horizon/core/machine/tunnel/switch.ts"
import type { SessionShell } from "@horizon/core/port/session-shell.ts"
import type { TunDevice } from "@horizon/core/port/tun.ts"
import { Outbox } from "@horizon/core/wire/batch.ts"

export class HostLink {
  readonly device: TunDevice
  private readonly toHost: Outbox

  /** `device` is open; it is used for as long as the shell drives. */
  constructor(device: TunDevice, fabric: () => TunnelSwitch, shell: SessionShell) {
    this.device = device
    this.toHost = new Outbox(device.tx, (count) => device.send(count))
    device.onBatch((nowNs, count) => {
      const { rx } = device
      shell.enter(nowNs)
      for (let i = 0; i < count; i++) fabric().handleHostPacket(nowNs, rx.slab, rx.offset(i), rx.length[i])
      shell.leave()
    })
  }

  /** Hands a packet to the host's network stack; false if it is too long for that. The bytes stay as they are until the shell flushes. */
  take(bytes: Uint8Array, at: number, length: number): boolean {
    if (length > this.toHost.batch.slotBytes) return false
    this.toHost.copy(bytes, at, length)
    return true
  }

  flush(): void {
    this.toHost.flush()
  }
}
