import { expect, test } from "vitest"
import { missingTool } from "../lab/command.ts"
import { Child } from "./child.ts"

const missing = missingTool("setpriv")
const because = missing === undefined ? "" : ` (skipped: ${missing})`
const node = (script: string): Child => Child.start({ name: "script", command: [process.execPath, "-e", script] })
const gone = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}

test.skipIf(missing !== undefined)(
  `a child is ready at the line that was waited for, and gone after stop${because}`,
  async () => {
    const child = node(`console.log("one\\nready 7"); setInterval(() => {}, 1000)`)
    expect(await child.line((line) => line.startsWith("ready"))).toBe("ready 7")
    expect(gone(child.pid)).toBe(false)
    await child.stop()
    await child.stop()
    expect(gone(child.pid)).toBe(true)
    expect(child.running).toBe(false)
  }
)

test.skipIf(missing !== undefined)(
  `a child that ends before it is ready is an error with what it said${because}`,
  async () => {
    const child = node(`console.error("no such device"); process.exit(3)`)
    await expect(child.line(() => false)).rejects.toThrow("script said nothing of being ready: no such device")
  }
)

test.skipIf(missing !== undefined)(`a child that does not get ready in time is ended${because}`, async () => {
  const child = node("setInterval(() => {}, 1000)")
  await expect(child.line(() => false, 50)).rejects.toThrow("within 0.05 s")
  await child.stop()
  expect(gone(child.pid)).toBe(true)
})

test.skipIf(missing !== undefined)(`a program that is not there is an error, not a crash${because}`, async () => {
  const child = Child.start({ name: "ghost", command: ["/nonexistent/ghost"] })
  await expect(child.line(() => false)).rejects.toThrow("ghost")
})
