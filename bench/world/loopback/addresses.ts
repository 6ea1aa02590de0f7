/**
 * Addresses of a lab on the machine's loopback network: 127.0.0.0/8 gives each lab a /16 of its own, so several labs run side by
 * side, also in different processes.
 *
 * The network machines of `sim/net` take 127.0.0.0/8 for a host's own loopback, as any IP stack does. So a lab has each address
 * twice, with the same last 16 bits: *planned*, in 10.0.0.0/16, is what the machines see; *real*, in the lab's /16, is what sockets
 * bind and nodes are told.
 */

import { createSocket, type Socket } from "node:dgram"
import { assert } from "@horizon/core/assert.ts"
import type { SubnetSpec, Topology } from "@horizon/core/lab/topology.ts"
import { formatV4 } from "@horizon/core/wire/address.ts"
import { isLoopback, LOOPBACK_ADDRESS } from "@horizon/sim/net/host.ts"
import { LabError } from "../../lab/lab-error.ts"

const PLANNED_BASE = (10 << 24) >>> 0
const REAL_BASE = (127 << 24) >>> 0
/** Last 16 bits of the address whose port marks the block as taken; the plan stays below it. */
const MARK = { low: 0xfffe, port: 8_400 } as const
/** 127.0.0.0/16 is left to the machine: its own names and resolvers live there. */
const BLOCKS = { first: 1, count: 254 } as const
const SUBNET_ADDRESSES_MIN = 256
/** No address of the lab: packets to it find no route. */
const NOWHERE = 0

/** The /16 of 127.0.0.0/8 that belongs to this lab while it is open. */
export interface LoopbackBlock {
  /** Second byte of its addresses. */
  readonly number: number
  readonly close: () => Promise<void>
}

/** Takes a free block. The system gives it back when this process ends, however it ends. */
export const reserveBlock = async (): Promise<LoopbackBlock> => {
  for (let tried = 0; tried < BLOCKS.count; tried++) {
    const number = BLOCKS.first + ((process.pid + tried) % BLOCKS.count)
    const mark = await bindMark(formatV4(REAL_BASE + number * 0x10000 + MARK.low))
    if (mark !== undefined) return { number, close: () => new Promise((resolve) => mark.close(() => resolve())) }
  }
  throw new LabError("failed", `all ${BLOCKS.count} blocks of loopback addresses are in use by other labs; end some`)
}

/** `undefined` if another lab has it. */
const bindMark = (address: string): Promise<Socket | undefined> =>
  new Promise((resolve, reject) => {
    const socket = createSocket("udp4")
    socket.once("error", (error: NodeJS.ErrnoException) => {
      socket.close()
      if (error.code === "EADDRINUSE") resolve(undefined)
      else reject(missing(address, error))
    })
    socket.bind({ address, port: MARK.port, exclusive: true }, () => resolve(socket))
  })

const missing = (address: string, error: NodeJS.ErrnoException): LabError =>
  new LabError(
    "missing",
    `this system has no address ${address} (${error.code}): the loopback world needs all of 127.0.0.0/8, as Linux has it; use the world "simulated" here`
  )

export class LoopbackAddresses {
  /** The topology with planned addresses, the same for every lab, so that equal prefixes behind two NATs do not meet on one machine. */
  readonly topology: Topology
  private readonly realBase: number

  constructor(topology: Topology, block: number) {
    this.topology = plan(topology)
    this.realBase = REAL_BASE + block * 0x10000
  }

  /** The address that sockets bind, of one that the machines see. */
  real(planned: number): number {
    return planned >>> 16 === PLANNED_BASE >>> 16 ? this.realBase + (planned & 0xffff) : planned
  }

  /** The address that the machines see, of one that a node names. What is on the machine's loopback but not in the lab is nowhere. */
  planned(real: number): number {
    if (real >>> 16 === this.realBase >>> 16) return PLANNED_BASE + (real & 0xffff)
    return isLoopback(real) && real !== LOOPBACK_ADDRESS ? NOWHERE : real
  }
}

/** Every subnet gets a prefix of its own, large enough; addresses that hosts ask for are given up, because nodes are told real ones. */
const plan = (topology: Topology): Topology => {
  const routers = Object.values(topology.routers)
  const hosts = Object.entries(topology.hosts)
  let next = PLANNED_BASE
  const subnets = Object.keys(topology.subnets).map((name): [string, SubnetSpec] => {
    const interfaces =
      hosts.filter(([, host]) => host.subnet === name).length +
      routers.filter((router) => router.subnets.includes(name)).length
    let size = SUBNET_ADDRESSES_MIN
    // The first and the last address of a subnet are nobody's.
    while (size < interfaces + 2) size *= 2
    const base = Math.ceil((next - PLANNED_BASE) / size) * size + PLANNED_BASE
    next = base + size
    assert(next <= PLANNED_BASE + MARK.low, "a topology has its place in 65,000 addresses")
    return [name, { cidr: `${formatV4(base)}/${32 - Math.log2(size)}` }]
  })
  return {
    ...topology,
    subnets: Object.fromEntries(subnets),
    hosts: Object.fromEntries(hosts.map(([name, { address: _, ...host }]) => [name, host]))
  }
}
