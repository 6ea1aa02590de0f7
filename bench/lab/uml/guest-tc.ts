/**
 * `tc` in a guest, as one process that stays: to start one takes 90 ms there, and a lab asks hundreds of times.
 *
 * It reads commands by the line (`-batch`) and goes on after one that fails. It says nothing when it has done something, so each change
 * is followed by a question whose answer shows that the change is over.
 */

import { LabError } from "../lab-error.ts"
import type { TcExec } from "../tc-held.ts"
import type { Guest } from "./guest.ts"
import type { GuestProcess } from "./guest-line.ts"

/** A kernel that loads a module first is the slowest. */
const ANSWER_MS = 15_000
/** A device that every guest has and no link uses. */
const MARKER = "qdisc show dev lo"

export class GuestTc {
  private readonly process: GuestProcess
  private out = ""
  private err = ""
  private check: () => void = () => {}
  private turn: Promise<unknown> = Promise.resolve()

  constructor(guest: Guest) {
    this.process = guest.start(
      { command: "tc", args: ["-j", "-d", "-r", "-s", "-force", "-batch", "-"] },
      {
        out: (bytes) => this.hear(() => (this.out += bytes.toString())),
        err: (bytes) => this.hear(() => (this.err += bytes.toString()))
      }
    )
  }

  /**
   * Runs one command. Its output is JSON with details and counts, whatever flags it asks for. A question must name its device: tc keeps
   * the one of the question before.
   */
  readonly exec: TcExec = (args) => {
    const command = args.slice(args.findIndex((word) => !word.startsWith("-")))
    const answer = this.turn.then(() => this.ask(command.join(" ")))
    this.turn = answer.catch(() => {})
    return answer
  }

  private async ask(command: string): Promise<string> {
    this.out = ""
    this.err = ""
    const question = /^\w+ show\b/.test(command)
    const answered = this.answered(question, command)
    await this.process.write(Buffer.from(question ? `${command}\n` : `${command}\n${MARKER}\n`))
    await answered
    if (FAILED.test(this.err)) throw new LabError("failed", `in the guest, tc ${command}: ${sentence(this.err)}`)
    return question ? this.out : ""
  }

  private answered(question: boolean, command: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (work: () => void): void => {
        clearTimeout(late)
        this.check = () => {}
        work()
      }
      const fail = (why: string): void =>
        end(() => reject(new LabError("failed", `in the guest, tc ${command}: ${why}`)))
      const late = setTimeout(() => fail(`no answer within ${ANSWER_MS / 1000} s`), ANSWER_MS)
      this.check = () => {
        if (isWhole(this.out) || (question && FAILED.test(this.err))) end(resolve)
      }
      this.process.exit.then(
        (code) => fail(`tc ended with ${code}: ${sentence(this.err)}`),
        (error: LabError) => fail(error.message)
      )
    })
  }

  private hear(add: () => void): void {
    add()
    this.check()
  }
}

const FAILED = /^Command failed -:\d+$/m

const sentence = (err: string): string =>
  err
    .split("\n")
    .filter((line) => line !== "" && !FAILED.test(line))
    .join("; ")

/** Whether a text is a JSON array from its beginning to its end. */
const isWhole = (text: string): boolean => {
  if (!/\]\s*$/.test(text)) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
