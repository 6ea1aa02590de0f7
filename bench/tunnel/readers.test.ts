import { readFileSync } from "node:fs"
import { expect, test } from "vitest"
import { cpuSecondsIn, cpuSecondsOf } from "./cpu-time.ts"
import { readTcp, tcpCommand } from "./iperf3.ts"
import { pingOptions, readRoundTrips } from "./round-trip.ts"

const recorded = (name: string): string => readFileSync(new URL(`golden/${name}`, import.meta.url), "utf8")

test("the rate of four streams is the sum that arrived", () => {
  expect(readTcp(recorded("iperf3-4-streams.json"))).toEqual({
    bitsPerSecond: 17985862621.156338,
    bytes: 2253914112,
    retransmits: 0
  })
})

test("of a test in which the server sends, what the client received counts", () => {
  expect(readTcp(recorded("iperf3-backward.json"))).toEqual({
    bitsPerSecond: 15414360472.336857,
    bytes: 1926889472,
    retransmits: 0
  })
})

test("a test that iperf3 could not do is an error in its words", () => {
  expect(() => readTcp(recorded("iperf3-no-route.json"))).toThrow(
    "iperf3: unable to connect to server: No route to host"
  )
})

test("an answer that is cut short or of another kind is an error", () => {
  expect(() => readTcp(recorded("iperf3-backward.json").slice(0, 300))).toThrow("did not answer in JSON")
  expect(() => readTcp(`{"end":{"sum":{"packets":1}}}`)).toThrow("not that of a TCP test")
})

test("the command says streams, direction and seconds", () => {
  const from = { namespace: "n", device: "d", address: "x", enter: ["enter"] }
  const test = { from, to: "10.0.0.2", streams: 4, backward: true, seconds: 2 }
  expect(tcpCommand(test).join(" ")).toBe("enter iperf3 -c 10.0.0.2 -J -t 2 -P 4 -R")
})

test("round trips are read from ping in microseconds, each answer once", () => {
  const times = readRoundTrips(recorded("ping.txt"))
  expect(times).toMatchObject({ sent: 50, answered: 50, p99Us: 268 })
  expect(times.p50Us).toBeGreaterThan(3)
  expect(times.p50Us).toBeLessThan(11)
})

test("pings are as many as the seconds hold, and end by themselves where most are lost", () => {
  expect(pingOptions("10.0.0.2", 3, 0.001).join(" ")).toBe("-n -i 0.001 -c 3000 -W 1 -w 7 10.0.0.2")
  expect(pingOptions("10.0.0.2", 0.001, 0.002).join(" ")).toBe("-n -i 0.002 -c 1 -W 1 -w 2 10.0.0.2")
})

test("pings without any answer are an error that says how many there were", () => {
  const text = "--- 10.0.0.2 ping statistics ---\n12 packets transmitted, 0 received, 100% packet loss, time 22ms\n"
  expect(() => readRoundTrips(text)).toThrow("no answer to 12 pings")
})

test("CPU time is user and system time with that of children, whatever the program is called", () => {
  const stat = "42 (a ) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 20 5 20 0 3 0 12345 1000 10 18446744073709551615"
  expect(cpuSecondsIn(stat)).toBe(2.25)
})

test("a process that is gone has used no CPU time, and this one has used some", () => {
  const used = cpuSecondsOf([
    { pid: process.pid, end: "a" },
    { pid: 2 ** 22 + 1, end: "b" }
  ])
  expect(used.a).toBeGreaterThan(0)
  expect(used).toMatchObject({ b: 0, both: 0 })
})
