import { type Duplex, duplexPair } from "node:stream"
import { afterEach, expect, test } from "vitest"
import { LabError } from "../lab-error.ts"
import { GuestLine, type GuestOutput } from "./guest-line.ts"

/** Kinds of frames that these tests look at or send. */
const [NOTHING, RUN, INPUT, INPUT_END, SIGNAL, HALT] = [0, 1, 2, 3, 4, 6]
const [READY, OUT, ERR, EXIT, TAKEN, HEARD] = [65, 66, 67, 68, 69, 70]

interface Frame {
  readonly kind: number
  readonly process: number
  readonly payload: Buffer
}

/** The other end of a line: hears bytes when it is told to, and says frames. */
class FakeGuest {
  readonly line: GuestLine
  readonly frames: Array<Frame> = []
  readonly end: Duplex
  private readonly arrived: Array<Buffer> = []
  private rest = Buffer.alloc(0)

  constructor() {
    const [ours, theirs] = duplexPair()
    this.end = theirs
    this.line = new GuestLine(ours)
    theirs.on("data", (bytes: Buffer) => this.arrived.push(bytes))
  }

  /** Takes what has come and says so; resolves with how many bytes it was. */
  async hear(): Promise<number> {
    await soon()
    const bytes = Buffer.concat(this.arrived.splice(0))
    this.rest = Buffer.concat([this.rest, bytes])
    while (this.rest.length >= 7 && this.rest.length >= 7 + this.rest.readUInt32BE(0)) {
      const end = 7 + this.rest.readUInt32BE(0)
      this.frames.push({
        kind: this.rest[4],
        process: this.rest.readUInt16BE(5),
        payload: Buffer.from(this.rest.subarray(7, end))
      })
      this.rest = this.rest.subarray(end)
    }
    if (bytes.length > 0) this.say(HEARD, 0, u32(bytes.length))
    return bytes.length
  }

  async hearAll(): Promise<void> {
    while ((await this.hear()) > 0);
  }

  say(kind: number, process: number, payload: Buffer): void {
    this.end.write(frame(kind, process, payload))
  }

  kinds(): ReadonlyArray<number> {
    return this.frames.map(({ kind }) => kind)
  }
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

const frame = (kind: number, process: number, payload: Buffer): Buffer => {
  const head = Buffer.alloc(7)
  head.writeUInt32BE(payload.length)
  head[4] = kind
  head.writeUInt16BE(process, 5)
  return Buffer.concat([head, payload])
}

const soon = (ms = 2): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const DEAF: GuestOutput = { out: () => {}, err: () => {} }

const lines: Array<GuestLine> = []
const makeGuest = (): FakeGuest => {
  const guest = new FakeGuest()
  lines.push(guest.line)
  return guest
}
afterEach(() => {
  for (const line of lines.splice(0)) line.fail(new LabError("failed", "the test is over"))
})

test("a command is told as strings, and its streams and exit code come back, in whatever pieces they travel", async () => {
  const guest = makeGuest()
  const said: Array<string> = []
  const process = guest.line.start(
    { command: "cat", args: ["-n", "a b"], folder: "/tmp", environment: { A: "1" } },
    { out: (bytes) => void said.push(`out ${bytes}`), err: (bytes) => void said.push(`err ${bytes}`) }
  )
  await guest.hearAll()
  expect(guest.frames[0].payload.toString()).toBe("\0/tmp\x001\0A=1\0cat\0-n\0a b\0")
  const number = guest.frames[0].process
  const answer = Buffer.concat([
    frame(READY, 0, Buffer.from("6.1")),
    frame(OUT, number, Buffer.from("one")),
    frame(ERR, number, Buffer.from("two")),
    frame(EXIT, number, Buffer.of(7))
  ])
  for (const byte of answer) guest.end.write(Buffer.of(byte))
  expect(await process.exit).toBe(7)
  expect(said).toEqual(["out one", "err two"])
  expect(await guest.line.ready).toBe("6.1")
})

test("no more is on its way than the guest's terminal layer holds, until the guest has heard it", async () => {
  const guest = makeGuest()
  const process = guest.line.start({ command: "cat", args: [] }, DEAF)
  void process.write(Buffer.alloc(10_000, 1))
  expect(await guest.hear()).toBe(2_048)
  expect(await guest.hear()).toBe(2_048)
  await guest.hearAll()
  expect(guest.frames.filter(({ kind }) => kind === INPUT).map(({ payload }) => payload.length)).toEqual([10_000])
})

test("a command that does not read its input holds up that input alone", async () => {
  const guest = makeGuest()
  const sleeper = guest.line.start({ command: "sleep", args: ["9"] }, DEAF)
  let taken = false
  void sleeper.write(Buffer.alloc(200_000)).then(() => {
    taken = true
  })
  await guest.hearAll()
  const given = (): number =>
    guest.frames.filter(({ kind }) => kind === INPUT).reduce((sum, { payload }) => sum + payload.length, 0)
  expect(given()).toBe(65_536)
  guest.line.start({ command: "true", args: [] }, DEAF)
  await guest.hearAll()
  expect(guest.kinds().filter((kind) => kind === RUN)).toHaveLength(2)
  expect(taken).toBe(false)
  const number = guest.frames[0].process
  for (let answers = 0; answers < 5; answers++) {
    guest.say(TAKEN, number, u32(32_768))
    await guest.hearAll()
  }
  expect(given()).toBe(200_000)
  expect(taken).toBe(true)
})

test("the end of the input comes after all of it", async () => {
  const guest = makeGuest()
  const process = guest.line.start({ command: "cat", args: [] }, DEAF)
  void process.write(Buffer.from("first"))
  void process.write(Buffer.from("second"))
  process.end()
  process.signal(15)
  await soon()
  await guest.hearAll()
  const inputs = guest.frames.filter(({ kind }) => kind === INPUT || kind === INPUT_END)
  expect(inputs.map(({ kind, payload }) => `${kind} ${payload}`)).toEqual(["2 first", "2 second", "3 "])
  expect(guest.frames.find(({ kind }) => kind === SIGNAL)?.payload).toEqual(Buffer.of(15))
})

test("a guest that overlooked what came is nudged until it looks, and a frame cut in two stays one", async () => {
  const guest = makeGuest()
  const process = guest.line.start({ command: "cat", args: [] }, DEAF)
  const data = Buffer.from(Array.from({ length: 5_000 }, (_, index) => index & 255))
  void process.write(data)
  await soon(100)
  await guest.hearAll()
  await soon(30)
  process.end()
  await soon(100)
  await guest.hearAll()
  expect(guest.frames.find(({ kind }) => kind === INPUT)?.payload).toEqual(data)
  expect(
    guest.kinds().filter((kind) => kind === NOTHING).length,
    "the end alone was waiting to be heard"
  ).toBeGreaterThan(0)
  expect(guest.kinds().filter((kind) => kind === INPUT_END)).toHaveLength(1)
})

test("who takes output slowly is given no more meanwhile", async () => {
  const guest = makeGuest()
  const taken: Array<string> = []
  const process = guest.line.start(
    { command: "yes", args: [] },
    {
      out: async (bytes) => {
        taken.push(`${bytes}`)
        await soon(30)
      },
      err: () => {}
    }
  )
  await guest.hearAll()
  const number = guest.frames[0].process
  guest.say(OUT, number, Buffer.from("1"))
  await soon(5)
  guest.say(OUT, number, Buffer.from("2"))
  await soon(5)
  expect(taken).toEqual(["1"])
  guest.say(EXIT, number, Buffer.of(0))
  expect(await process.exit).toBe(0)
  expect(taken).toEqual(["1", "2"])
})

test("when the guest is gone everything that waits for it is told why, and so is what comes later", async () => {
  const guest = makeGuest()
  const waiting = guest.line.start({ command: "sleep", args: ["9"] }, DEAF)
  const writing = waiting.write(Buffer.alloc(100_000))
  guest.line.fail(new LabError("failed", "the guest ended (SIGKILL)"))
  await expect(waiting.exit).rejects.toThrow("the guest ended (SIGKILL)")
  await expect(guest.line.ready).rejects.toThrow("the guest ended")
  await expect(guest.line.start({ command: "true", args: [] }, DEAF).exit).rejects.toThrow("the guest ended")
  await writing
  guest.line.halt()
  await guest.hearAll()
  expect(guest.kinds()).not.toContain(HALT)
})

test("bytes that cannot be a frame end the line, and say so", async () => {
  const guest = makeGuest()
  const process = guest.line.start({ command: "true", args: [] }, DEAF)
  guest.end.write(Buffer.from("Kernel panic - not syncing"))
  await expect(process.exit).rejects.toThrow("carries what is not a frame")
})
