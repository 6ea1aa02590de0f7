import { Effect, Result } from "effect"
import { expect, test } from "vitest"
import { Udp, type UdpBind, UdpError } from "../port/udp.ts"
import { advertisedEndpoint, bindSocket } from "./socket.ts"

const WORDS = { node: "gateway", peers: "members" }
const ANY = { advertiseAddress: "", advertisePort: 0 }

const advertised = (change: Partial<typeof ANY>, local = { address: "192.0.2.1", port: 8_421 }) =>
  Effect.runSync(Effect.result(advertisedEndpoint({ ...ANY, ...change }, WORDS, local)))

test("what is advertised is what was configured, and else where the socket listens", () => {
  expect(Result.getOrThrow(advertised({}))).toEqual({ address: "192.0.2.1", port: 8_421 })
  expect(Result.getOrThrow(advertised({ advertiseAddress: "198.51.100.7" }))).toEqual({
    address: "198.51.100.7",
    port: 8_421
  })
  expect(Result.getOrThrow(advertised({ advertisePort: 53 }))).toEqual({ address: "192.0.2.1", port: 53 })
})

test("a name and the address of no host cannot be advertised, and the error says what to do", () => {
  const messageOf = (outcome: ReturnType<typeof advertised>) =>
    Result.isFailure(outcome) ? [outcome.failure.reason, outcome.failure.message] : expect.unreachable()
  expect(messageOf(advertised({ advertiseAddress: "gateway.example" }))).toEqual([
    "bad-setting",
    'advertiseAddress: "gateway.example" is no IPv4 or IPv6 address (names are not resolved).'
  ])
  for (const address of ["0.0.0.0", "::"])
    expect(messageOf(advertised({}, { address, port: 1 }))).toEqual([
      "bad-setting",
      "advertiseAddress: the gateway listens on every address; say at which one members reach it."
    ])
})

test("an address that is left out is not bound to, and a socket that cannot be bound is port-unavailable", () => {
  const asked: Array<UdpBind> = []
  const udp = Udp.of({
    bind: (options) => {
      asked.push(options)
      return Effect.fail(new UdpError({ reason: "address-in-use", message: "port 8421 is taken" }))
    }
  })
  const bind = (listenAddress: string) =>
    Effect.runSync(
      bindSocket({ listenAddress, port: 8_421 }).pipe(Effect.flip, Effect.scoped, Effect.provideService(Udp, udp))
    )
  expect(bind("")).toMatchObject({ _tag: "NodeError", reason: "port-unavailable", message: "port 8421 is taken" })
  bind("192.0.2.1")
  expect(asked).toEqual([{ port: 8_421 }, { address: "192.0.2.1", port: 8_421 }])
})
