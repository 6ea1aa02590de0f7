/**
 * A map from (IPv4 address, port) to a value. Two levels, because a single key of 48 bits would be boxed at every look-up.
 */
export class EndpointMap<V> {
  size = 0
  private readonly byAddress = new Map<number, Map<number, V>>()

  get(address: number, port: number): V | undefined {
    return this.byAddress.get(address | 0)?.get(port)
  }

  set(address: number, port: number, value: V): void {
    let ports = this.byAddress.get(address | 0)
    if (ports === undefined) {
      ports = new Map()
      this.byAddress.set(address | 0, ports)
    }
    if (!ports.has(port)) this.size++
    ports.set(port, value)
  }

  delete(address: number, port: number): void {
    const ports = this.byAddress.get(address | 0)
    if (ports === undefined || !ports.delete(port)) return
    this.size--
    if (ports.size === 0) this.byAddress.delete(address | 0)
  }

  /** Removes an entry of the address that was entered first. */
  deleteFirst(): void {
    for (const [address, ports] of this.byAddress) {
      for (const port of ports.keys()) return this.delete(address, port)
    }
  }

  clear(): void {
    this.byAddress.clear()
    this.size = 0
  }
}
