/**
 * The two forms of a queue in front of the shaper.
 *
 * `Occupancy` only counts: a droptail queue's departures are known when a packet enters, so the packet itself moves on at
 * once and what remains is the room it takes until its serialisation starts. `PacketQueue` keeps the packets: CoDel judges
 * a packet when it leaves.
 *
 * A packet is in the queue until its first bit goes; the one being serialised takes no room. Both forms are rings that
 * grow by doubling to what the limits allow and then stay, so a packet costs no allocation.
 */

const FIRST_CAPACITY = 64

/** How many packets and bytes wait, from the times at which they stop waiting. */
export class Occupancy {
  packets = 0
  bytes = 0
  private start = new Float64Array(FIRST_CAPACITY)
  private size = new Int32Array(FIRST_CAPACITY)
  private head = 0

  /** Lets go of what started at or before `nowNs`. */
  expire(nowNs: number): void {
    const mask = this.start.length - 1
    while (this.packets > 0 && this.start[this.head] <= nowNs) {
      this.bytes -= this.size[this.head]
      this.head = (this.head + 1) & mask
      this.packets--
    }
  }

  /** A packet of `bytes` waits until `startNs`, which is not before that of any packet that came earlier. */
  push(startNs: number, bytes: number): void {
    if (this.packets === this.start.length) {
      this.start = grown(this.start, this.head, new Float64Array(this.start.length * 2))
      this.size = grown(this.size, this.head, new Int32Array(this.size.length * 2))
      this.head = 0
    }
    const tail = (this.head + this.packets) & (this.start.length - 1)
    this.start[tail] = startNs
    this.size[tail] = bytes
    this.packets++
    this.bytes += bytes
  }
}

/** Packets in order, each with its size, its ECN capability and the time at which it came. */
export class PacketQueue {
  packets = 0
  bytes = 0
  /** The packet that the last `take` took. */
  takenPacket = -1
  takenBytes = 0
  takenEcnCapable = false
  takenEnqueuedNs = 0
  private packet = new Int32Array(FIRST_CAPACITY)
  private size = new Int32Array(FIRST_CAPACITY)
  private ecn = new Uint8Array(FIRST_CAPACITY)
  private enqueued = new Float64Array(FIRST_CAPACITY)
  private head = 0

  push(nowNs: number, packet: number, bytes: number, ecnCapable: boolean): void {
    if (this.packets === this.packet.length) this.grow()
    const tail = (this.head + this.packets) & (this.packet.length - 1)
    this.packet[tail] = packet
    this.size[tail] = bytes
    this.ecn[tail] = ecnCapable ? 1 : 0
    this.enqueued[tail] = nowNs
    this.packets++
    this.bytes += bytes
  }

  /** Takes the head of a queue that is not empty into the `taken…` fields. */
  take(): void {
    const { head } = this
    this.takenPacket = this.packet[head]
    this.takenBytes = this.size[head]
    this.takenEcnCapable = this.ecn[head] === 1
    this.takenEnqueuedNs = this.enqueued[head]
    this.head = (head + 1) & (this.packet.length - 1)
    this.packets--
    this.bytes -= this.takenBytes
  }

  private grow(): void {
    const capacity = this.packet.length * 2
    this.packet = grown(this.packet, this.head, new Int32Array(capacity))
    this.size = grown(this.size, this.head, new Int32Array(capacity))
    this.ecn = grown(this.ecn, this.head, new Uint8Array(capacity))
    this.enqueued = grown(this.enqueued, this.head, new Float64Array(capacity))
    this.head = 0
  }
}

/** The full ring `from`, which starts at `head`, copied to the beginning of the larger `to`. */
const grown = <A extends Float64Array | Int32Array | Uint8Array>(from: A, head: number, to: A): A => {
  to.set(from.subarray(head))
  to.set(from.subarray(0, head), from.length - head)
  return to
}
