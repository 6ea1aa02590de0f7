/** Small talk for tests on a ground: lives on hosts, sockets that send short texts and remember what they hear. */

import type { NatKind, NatSpec, Topology } from "@horizon/core/lab/topology.ts"
import { Udp, type UdpBind, type UdpSocket } from "@horizon/core/port/udp.ts"
import { formatV4, parseAddress } from "@horizon/core/wire/address.ts"
import { WallClock } from "@horizon/sim/kernel/process.ts"
import { Context, Effect, Layer, Scope } from "effect"
import { onTestFinished } from "vitest"
import { openGround } from "./ground.ts"
import { Life } from "./life.ts"
import { UdpHost } from "./udp.ts"

/** One thing heard. */
export interface Heard {
  readonly text: string
  /** `address:port` of the sender as the receiver's socket saw it. */
  readonly from: string
  /** Milliseconds of the machine's clock. */
  readonly atMs: number
}

export interface Ear {
  readonly socket: UdpSocket
  readonly heard: Array<Heard>
  /** `address:port` of this socket. */
  readonly at: string
  /** Sends texts to `address:port`, in one batch. */
  readonly say: (to: string, ...texts: ReadonlyArray<string>) => void
  readonly texts: () => ReadonlyArray<string>
}

/** A ground that is closed when the test ends; a failure of its network fails the test. */
export const testGround = async (topology: Topology, seed = 1) => {
  const failures: Array<unknown> = []
  const ground = await openGround({ topology, seed, onFailure: (error) => void failures.push(error) })
  const lives: Array<Life> = []
  const udps = new Map<string, UdpHost>()
  onTestFinished(async () => {
    await Promise.all(lives.map((life) => life.kill()))
    await ground.close()
    if (failures.length > 0) throw failures[0]
  })

  const udpOf = (host: string): UdpHost => {
    const udp = udps.get(host) ?? new UdpHost(ground.network.host(host), ground)
    udps.set(host, udp)
    return udp
  }
  const address = (host: string): string => formatV4(ground.addresses.real(ground.network.host(host).address))
  /** Address of a router's interface. */
  const routerAddress = (name: string): string => {
    const own = ground.network.interfaces.find((one) => one.name === name)
    if (own === undefined) throw new Error(`no interface ${name}`)
    return formatV4(ground.addresses.real(own.address))
  }
  const live = (name: string): Life => {
    const wall = new WallClock(ground.kernel, Date.now())
    const life = new Life({ ground, name, wall })
    lives.push(life)
    return life
  }
  /** Opens a socket on a host, of a life of its own or of a given one; its scope can be closed early. */
  const open = async (
    host: string,
    options: UdpBind = { port: 0 },
    life: Life = live(host),
    scope: Scope.Scope = Scope.makeUnsafe()
  ): Promise<Ear> => {
    const context = await Effect.runPromise(Layer.buildWithScope(udpOf(host).layer(life), Scope.makeUnsafe()))
    const bind = Scope.provide(Context.get(context, Udp).bind(options), scope)
    const socket = await Effect.runPromise(bind)
    const heard: Array<Heard> = []
    socket.onBatch((_, count) => {
      const atMs = performance.now()
      for (let i = 0; i < count; i++) {
        const peer = socket.rx.peer(i)
        heard.push({ text: Buffer.from(socket.rx.view(i)).toString(), from: `${peer.address}:${peer.port}`, atMs })
      }
    })
    const say = (to: string, ...texts: ReadonlyArray<string>): void => {
      const [peer, port] = to.split(":")
      for (const [slot, text] of texts.entries()) {
        const bytes = Buffer.from(text)
        socket.tx.slab.set(bytes, socket.tx.offset(slot))
        socket.tx.length[slot] = bytes.length
        parseAddress(peer, socket.tx.address, slot * 4)
        socket.tx.port[slot] = Number(port)
      }
      socket.send(texts.length)
    }
    const texts = (): ReadonlyArray<string> => heard.map(({ text }) => text)
    return { socket, heard, at: `${address(host)}:${socket.local.port}`, say, texts }
  }
  return { ...ground, address, routerAddress, live, open, udpOf }
}

/** A server and a stranger on the internet, two members behind a NAT of a kind. */
export const behindNat = (kind: NatKind, change: Partial<NatSpec> = {}): Topology => ({
  subnets: { home: { cidr: "192.168.1.0/24" }, internet: { cidr: "198.51.100.0/24" } },
  hosts: {
    ada: { subnet: "home" },
    ben: { subnet: "home" },
    server: { subnet: "internet" },
    stranger: { subnet: "internet" }
  },
  routers: {
    nat: {
      subnets: ["home", "internet"],
      nat: { kind, outside: "internet", udpTimeoutMs: 30_000, hairpin: true, ...change }
    }
  }
})

/** Waits until `condition` holds, at most `limitMs`; whether it came to hold. */
export const until = async (condition: () => boolean, limitMs = 2_000): Promise<boolean> => {
  for (const endMs = performance.now() + limitMs; performance.now() < endMs; await sleep(1)) {
    if (condition()) return true
  }
  return condition()
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
