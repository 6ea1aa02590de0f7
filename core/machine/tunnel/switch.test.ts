import fc from "fast-check"
import { expect, test } from "vitest"
import { echoSequence, isEchoReply } from "../../wire/icmp.ts"
import { ipv4Destination, ipv4Source, isIpv4Packet, LIMITED_BROADCAST } from "../../wire/ipv4.ts"
import { ipv4Packet, pingPacket } from "../../wire/ipv4-packet.fixture.ts"
import { parsePrefix } from "./prefix.ts"
import { FATE, FATE_NAMES, TunnelSwitch } from "./switch.ts"

const prefix = parsePrefix("10.77.0.0/24") ?? { network: 0, length: 0 }
const host = (n: number): number => prefix.network + n
const GATEWAY = host(1)
const payload = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8, 9])

const makeSwitch = (change: { broadcastCopiesPerSecond?: number; refuse?: boolean; host?: boolean } = {}) => {
  const out: Array<{ session: number; packet: Uint8Array }> = []
  const toHost: Array<Uint8Array> = []
  const fabric = new TunnelSwitch({
    prefix,
    sessionNumbers: 32,
    mtuBytes: 1170,
    broadcastCopiesPerSecond: change.broadcastCopiesPerSecond ?? 100,
    send: (_nowNs, session, bytes, at, length) => {
      if (change.refuse) return 1
      out.push({ session, packet: bytes.slice(at, at + length) })
      return 0
    },
    ...(change.host === undefined
      ? {}
      : {
          toHost: (bytes: Uint8Array, at: number, length: number) => {
            if (change.host) toHost.push(bytes.slice(at, at + length))
            return change.host === true
          }
        })
  })
  return { fabric, out, toHost }
}

const give = (fabric: TunnelSwitch, session: number, packet: Uint8Array, nowNs = 0): string => {
  const slot = new Uint8Array(packet.length + 30).fill(0xee)
  slot.set(packet, 14)
  return FATE_NAMES[fabric.handlePacket(nowNs, session, slot, 14, packet.length)]
}

test("a packet between two members of a tenant arrives unchanged", () => {
  const { fabric, out } = makeSwitch()
  fabric.join(3, host(10), "red")
  fabric.join(4, host(11), "red")
  const packet = ipv4Packet(host(10), host(11), payload)
  expect(give(fabric, 3, packet)).toBe("delivered")
  expect(out).toEqual([{ session: 4, packet }])
  expect([fabric.forwardedPackets, fabric.forwardedBytes, fabric.size]).toEqual([1, packet.length, 2])
})

test("a packet whose source is not the sender's own address is dropped", () => {
  const { fabric, out } = makeSwitch()
  fabric.join(3, host(10), "red")
  fabric.join(4, host(11), "red")
  for (const source of [host(11), host(12), GATEWAY, 0, LIMITED_BROADCAST])
    expect(give(fabric, 3, ipv4Packet(source, host(11), payload))).toBe("spoofedSource")
  expect(out).toEqual([])
  expect(fabric.fates[FATE.spoofedSource]).toBe(5)
})

test("the gateway answers a ping to its own address, with the data unchanged", () => {
  const { fabric, out } = makeSwitch()
  fabric.join(3, host(10), "red")
  expect(give(fabric, 3, pingPacket(host(10), GATEWAY, 42, payload))).toBe("delivered")
  const { session, packet } = out[0]
  expect(session).toBe(3)
  expect(isIpv4Packet(packet, 0, packet.length) && isEchoReply(packet, 0, packet.length)).toBe(true)
  expect([ipv4Source(packet, 0), ipv4Destination(packet, 0)]).toEqual([GATEWAY, host(10)])
  expect([echoSequence(packet, 0), packet.slice(28)]).toEqual([42, payload])
  expect(give(fabric, 3, ipv4Packet(host(10), GATEWAY, payload))).toBe("notForGateway")
})

test("an unknown destination and another tenant's member are answered alike, so that nobody learns of other tenants", () => {
  const { fabric, out } = makeSwitch()
  fabric.join(3, host(10), "red")
  fabric.join(4, host(11), "blue")
  expect(give(fabric, 3, ipv4Packet(host(10), host(11), payload))).toBe("otherTenant")
  expect(give(fabric, 3, ipv4Packet(host(10), host(12), payload))).toBe("unknownDestination")
  expect(out.map((each) => each.session)).toEqual([3, 3])
  for (const { packet } of out) {
    expect(isIpv4Packet(packet, 0, packet.length)).toBe(true)
    expect([ipv4Source(packet, 0), ipv4Destination(packet, 0), packet[20], packet[21]]).toEqual([
      GATEWAY,
      host(10),
      3,
      1
    ])
    expect(ipv4Source(packet, 28)).toBe(host(10))
  }
})

test("host-unreachable answers are limited and never answer an ICMP error", () => {
  const { fabric, out } = makeSwitch()
  fabric.join(3, host(10), "red")
  for (let i = 0; i < 500; i++) give(fabric, 3, ipv4Packet(host(10), host(12), payload))
  expect(out).toHaveLength(100)
  give(fabric, 3, ipv4Packet(host(10), host(12), payload), 10_000_000)
  expect(out).toHaveLength(101)
  give(fabric, 3, ipv4Packet(host(10), host(12), new Uint8Array([3, 1, 0, 0, 0, 0, 0, 0]), 1), 1e9)
  expect(out).toHaveLength(101)
})

test("broadcast and multicast reach every other member of the tenant and nobody else", () => {
  const { fabric, out } = makeSwitch()
  for (const session of [3, 4, 5]) fabric.join(session, host(10 + session), "red")
  fabric.join(6, host(20), "blue")
  for (const destination of [host(255), LIMITED_BROADCAST, 0xe00000fb]) {
    out.length = 0
    expect(give(fabric, 3, ipv4Packet(host(13), destination, payload))).toBe("delivered")
    expect(out.map((each) => each.session)).toEqual([4, 5])
  }
})

test("a tenant that broadcasts above its allowance is silenced until the allowance has filled again; others are not", () => {
  const { fabric, out } = makeSwitch({ broadcastCopiesPerSecond: 4 })
  for (const session of [3, 4, 5]) fabric.join(session, host(10 + session), "red")
  for (const session of [6, 7]) fabric.join(session, host(10 + session), "blue")
  const shout = (session: number, nowNs: number): string =>
    give(fabric, session, ipv4Packet(host(10 + session), LIMITED_BROADCAST, payload), nowNs)
  expect([shout(3, 0), shout(4, 0), shout(5, 0)]).toEqual(["delivered", "delivered", "broadcastLimited"])
  expect(shout(6, 0)).toBe("delivered")
  expect([shout(5, 499_999_999), shout(5, 500_000_000), shout(5, 500_000_000)]).toEqual([
    "broadcastLimited",
    "delivered",
    "broadcastLimited"
  ])
  expect(out).toHaveLength(7)
})

test("what is not one sound IPv4 packet, or too long, or to the outside, is dropped with its reason", () => {
  const { fabric, out } = makeSwitch()
  fabric.join(3, host(10), "red")
  fabric.join(4, host(11), "red")
  const packet = ipv4Packet(host(10), host(11), payload)
  const changed = (at: number, value: number): Uint8Array => {
    const copy = packet.slice()
    copy[at] = value
    return copy
  }
  expect(give(fabric, 3, new Uint8Array(0))).toBe("malformed")
  expect(give(fabric, 3, packet.subarray(0, 19))).toBe("malformed")
  expect(give(fabric, 3, packet.subarray(0, packet.length - 1))).toBe("malformed")
  expect(give(fabric, 3, changed(0, 0x65))).toBe("malformed")
  expect(give(fabric, 3, changed(0, 0x44))).toBe("malformed")
  expect(give(fabric, 3, changed(0, 0x4f))).toBe("malformed")
  expect(give(fabric, 3, changed(8, 63))).toBe("malformed")
  expect(give(fabric, 3, ipv4Packet(host(10), host(11), new Uint8Array(1151)))).toBe("tooLong")
  expect(give(fabric, 3, ipv4Packet(host(10), 0x08080808, payload))).toBe("outsidePrefix")
  expect(give(fabric, 9, packet)).toBe("notMember")
  expect(out).toEqual([])
  expect(give(fabric, 3, ipv4Packet(host(10), host(11), new Uint8Array(1150)))).toBe("delivered")
})

test("a device that connects anew has its address at the new session, and the end of the old one changes nothing", () => {
  const { fabric, out } = makeSwitch()
  fabric.join(3, host(10), "red")
  fabric.join(4, host(11), "red")
  fabric.join(5, host(10), "red")
  fabric.leave(3)
  expect(give(fabric, 4, ipv4Packet(host(11), host(10), payload))).toBe("delivered")
  expect(out[0].session).toBe(5)
  fabric.leave(5)
  expect(give(fabric, 4, ipv4Packet(host(11), host(10), payload))).toBe("unknownDestination")
  expect(give(fabric, 5, ipv4Packet(host(10), host(11), payload))).toBe("notMember")
})

test("a packet that the destination's session does not take is counted", () => {
  const { fabric } = makeSwitch({ refuse: true })
  fabric.join(3, host(10), "red")
  fabric.join(4, host(11), "red")
  expect(give(fabric, 3, ipv4Packet(host(10), host(11), payload))).toBe("notSent")
  expect(give(fabric, 3, pingPacket(host(10), GATEWAY, 1, payload))).toBe("notSent")
})

test("whatever members send, no byte of it reaches another tenant and none goes out under a foreign source", () => {
  const member = fc.nat(9)
  fc.assert(
    fc.property(
      fc.array(fc.tuple(member, fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 255 }), fc.boolean()), {
        maxLength: 60
      }),
      (packets) => {
        const { fabric, out } = makeSwitch()
        for (let i = 0; i < 10; i++) fabric.join(i, host(10 + i), i < 5 ? "red" : "blue")
        for (const [session, source, destination, honest] of packets) {
          out.length = 0
          const from = honest ? host(10 + session) : host(source)
          give(fabric, session, ipv4Packet(from, host(destination), payload))
          for (const sent of out) {
            expect(sent.session < 5).toBe(session < 5)
            expect(from).toBe(host(10 + session))
            expect([from, GATEWAY]).toContain(ipv4Source(sent.packet, 0))
          }
        }
      }
    ),
    { numRuns: 200 }
  )
})

test("every packet is accounted for: what came in went to a member, to the host or to all, or was dropped", () => {
  const { fabric, out, toHost } = makeSwitch({ host: true, broadcastCopiesPerSecond: 5 })
  for (let i = 0; i < 5; i++) fabric.join(i, host(10 + i), i < 3 ? "red" : "blue")
  let given = 0
  let delivered = 0
  for (const nowNs of [0, 5e9])
    for (const destination of [1, 1, 11, 12, 13, 200, 255, 255]) {
      for (let session = 0; session < 5; session++) {
        const from = host(10 + session)
        const ping = destination === 1 && session < 2
        const packet = ping ? pingPacket(from, GATEWAY, 1, payload) : ipv4Packet(from, host(destination), payload)
        if (give(fabric, session, packet, nowNs) === "delivered") delivered++
        given++
      }
    }
  const { broadcastCopies, broadcasts, echoReplies, fates, forwardedPackets, unreachablesSent } = fabric
  expect(fates.reduce((sum, count) => sum + count, 0)).toBe(given)
  expect(fates[FATE.delivered]).toBe(delivered)
  expect(forwardedPackets).toBe(out.length)
  expect(delivered).toBe(forwardedPackets - broadcastCopies - unreachablesSent + broadcasts + toHost.length)
  expect(echoReplies).toBe(8)
  expect(fates[FATE.broadcastLimited]).toBeGreaterThan(0)
  expect(unreachablesSent).toBe(fates[FATE.unknownDestination] + fates[FATE.otherTenant])
  expect([broadcasts > 0, broadcastCopies > broadcasts, unreachablesSent > 0]).toEqual([true, true, true])
})

test("random bytes never make the switch throw", () => {
  const { fabric } = makeSwitch()
  for (let i = 0; i < 4; i++) fabric.join(i, host(10 + i), "red")
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(31), (bytes, session) => {
      expect(fabric.handlePacket(0, session, bytes, 0, bytes.length)).toBeGreaterThan(0)
    })
  )
})

test("packets for the gateway's address go to its host if that has an interface, but pings are answered by the gateway", () => {
  const { fabric, out, toHost } = makeSwitch({ host: true })
  fabric.join(3, host(10), "red")
  const packet = ipv4Packet(host(10), GATEWAY, payload)
  expect(give(fabric, 3, packet)).toBe("delivered")
  expect(toHost).toEqual([packet])
  expect(give(fabric, 3, pingPacket(host(10), GATEWAY, 1, payload))).toBe("delivered")
  expect([toHost.length, out.length]).toEqual([1, 1])
  const refusing = makeSwitch({ host: false })
  refusing.fabric.join(3, host(10), "red")
  expect(give(refusing.fabric, 3, packet)).toBe("notForGateway")
})

test("the gateway's host reaches members of every tenant by their address, under its own, and nobody by broadcast", () => {
  const { fabric, out } = makeSwitch({ host: true })
  fabric.join(3, host(10), "red")
  fabric.join(4, host(11), "blue")
  const say = (packet: Uint8Array): string =>
    FATE_NAMES[fabric.handleHostPacket(0, Uint8Array.of(0, ...packet), 1, packet.length)]
  for (const [session, member] of [[3, 10] as const, [4, 11] as const]) {
    const packet = ipv4Packet(GATEWAY, host(member), payload)
    expect(say(packet)).toBe("delivered")
    expect(out.at(-1)).toEqual({ session, packet })
  }
  expect(say(ipv4Packet(host(10), host(11), payload))).toBe("spoofedSource")
  expect(say(ipv4Packet(GATEWAY, host(12), payload))).toBe("unknownDestination")
  expect(say(ipv4Packet(GATEWAY, host(255), payload))).toBe("unknownDestination")
  expect(say(ipv4Packet(GATEWAY, LIMITED_BROADCAST, payload))).toBe("outsidePrefix")
  expect(say(Uint8Array.of(0x60, 1, 2))).toBe("malformed")
  expect(say(ipv4Packet(GATEWAY, host(10), new Uint8Array(1200)))).toBe("tooLong")
  expect(out.length).toBe(2)
})
