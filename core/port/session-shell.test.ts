import { expect, test } from "vitest"
import type { SessionEvent } from "../machine/session/session.ts"
import { DatagramBatch } from "../wire/batch.ts"
import { type Companion, type Driven, SessionShell } from "./session-shell.ts"
import type { UdpSocket } from "./udp.ts"

const EVENT: SessionEvent = { kind: "refused", peer: { address: "10.0.0.1", port: 1 }, reason: 8 }

const start = () => {
  const log: Array<string> = []
  let nowNs = 100
  let fire: (nowNs: number) => void = () => {}
  let armedNs = Number.POSITIVE_INFINITY
  let batch: (nowNs: number, count: number) => void = () => {}
  const socket: UdpSocket = {
    local: { address: "10.0.0.9", port: 9 },
    rx: new DatagramBatch(4),
    tx: new DatagramBatch(4),
    onBatch: (handler) => {
      batch = handler
    },
    send: (count) => log.push(`send ${count}`),
    stats: () => ({ packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0, dropsIn: 0, dropsOut: 0 })
  }
  const shell = new SessionShell(socket, {
    nowNs: () => nowNs,
    wallMs: () => 0,
    timer: (handler) => {
      fire = handler
      return {
        arm: (atNs) => {
          armedNs = atNs
        },
        cancel: () => {
          armedNs = Number.POSITIVE_INFINITY
        }
      }
    }
  })
  const events: Array<SessionEvent> = []
  const machine: Driven & { dueNs: number } = {
    dueNs: 500,
    handleDatagram: (atNs: number, _batch: DatagramBatch, index: number) => {
      log.push(`datagram ${index} at ${atNs}`)
      shell.outbox.next()
      shell.outbox.commit(10)
      events.push(EVENT)
    },
    handleTimeout: (atNs: number) => {
      log.push(`timeout at ${atNs}`)
      machine.dueNs = atNs + 500
    },
    pollTimeout: () => machine.dueNs,
    pollEvent: () => events.shift()
  }
  const companion: Companion & { dueNs: number } = {
    dueNs: Number.POSITIVE_INFINITY,
    handleTimeout: (atNs: number) => {
      log.push(`companion at ${atNs}`)
      companion.dueNs = Number.POSITIVE_INFINITY
    },
    pollTimeout: () => companion.dueNs,
    flush: () => void log.push("flush")
  }
  return {
    shell,
    machine,
    companion,
    log,
    receive: (atNs: number, count: number) => batch(atNs, count),
    fire: (atNs: number) => fire(atNs),
    at: (atNs: number) => {
      nowNs = atNs
    },
    armedNs: () => armedNs
  }
}

test("a batch goes into the machine one by one, with its events after each, is flushed once and re-arms the timer", () => {
  const { shell, machine, companion, log, receive, armedNs } = start()
  shell.drive(machine, (event) => log.push(event.kind), companion)
  log.length = 0
  machine.dueNs = 777
  receive(300, 2)
  expect(log).toEqual(["datagram 0 at 300", "refused", "datagram 1 at 300", "refused", "send 2", "flush"])
  expect([shell.nowNs, armedNs()]).toEqual([300, 777])
})

test("the timer serves the one who is due, and is armed for the earlier of both", () => {
  const { shell, machine, companion, log, fire, armedNs } = start()
  shell.drive(machine, () => {}, companion)
  companion.dueNs = 400
  shell.act(() => {})
  log.length = 0
  expect(armedNs()).toBe(400)
  fire(400)
  expect(log).toEqual(["companion at 400", "flush"])
  fire(500)
  expect(log.slice(2)).toEqual(["timeout at 500", "flush"])
  expect(armedNs()).toBe(1_000)
})

test("work of a control fiber is sent at once, at the time of the clock, and its value comes back", () => {
  const { shell, machine, log, at } = start()
  shell.drive(machine, (event) => log.push(event.kind))
  at(250)
  const value = shell.act((nowNs) => {
    machine.handleDatagram(nowNs, shell.outbox.batch, 0)
    return "value"
  })
  expect([value, log]).toEqual(["value", ["datagram 0 at 250", "refused", "send 1"]])
})

test("a shell at rest throws datagrams away and its timer stands still", () => {
  const { shell, machine, log, receive, armedNs } = start()
  shell.drive(machine, () => {})
  shell.rest()
  receive(300, 2)
  expect([log, armedNs()]).toEqual([[], Number.POSITIVE_INFINITY])
  expect(shell.unattended).toBe(2)
})

test("what comes behind the datagram that ended the machine's time is thrown away and counted", () => {
  const { shell, machine, log, receive } = start()
  shell.drive(machine, () => shell.rest())
  log.length = 0
  receive(300, 4)
  expect([log, shell.unattended]).toEqual([["datagram 0 at 300", "send 1"], 3])
})

test("nothing stays in the outbox after a batch, a timer or work of a fiber, so that figures taken in between are whole", () => {
  const { shell, machine, companion, receive, fire } = start()
  const write = (): void => shell.outbox.commit(shell.outbox.next() + 10)
  machine.handleTimeout = companion.handleTimeout = (nowNs) => {
    machine.dueNs = companion.dueNs = nowNs + 500
    write()
  }
  companion.dueNs = 500
  const waiting = (work: () => void): number => {
    work()
    return shell.outbox.count
  }
  expect(waiting(() => shell.drive(machine, write, companion))).toBe(0)
  expect(waiting(() => receive(300, 3))).toBe(0)
  expect(waiting(() => fire(500))).toBe(0)
  expect(waiting(() => shell.act(write))).toBe(0)
  shell.enter(900)
  expect(waiting(write)).toBe(1)
  expect(waiting(() => shell.leave())).toBe(0)
})
