import { spawn } from "node:child_process"
import { getPriority } from "node:os"
import { expect, test } from "vitest"
import { favour } from "./favour.ts"
import { named } from "./here.fixture.ts"

const missing = process.getuid?.() === 0 ? "" : "needs root"

test.skipIf(missing !== "")(
  named("a process gets the nice value that it is favoured with, and others keep theirs", missing),
  () => {
    const [one, other] = [0, 1].map(() => spawn("sleep", ["5"], { stdio: "ignore", detached: true }))
    try {
      favour([one.pid!], -15)
      expect(getPriority(one.pid)).toBe(-15)
      expect(getPriority(other.pid)).toBe(0)
    } finally {
      one.kill("SIGKILL")
      other.kill("SIGKILL")
    }
  }
)

test("processes that are not there do not matter", () => {
  expect(() => favour([], -20)).not.toThrow()
  expect(() => favour([4_000_000], -20)).not.toThrow()
})
