import { expect, test } from "vitest"
import { forEachFew, run } from "./command.ts"
import { LabError } from "./lab-error.ts"

const failure = (command: string, args: ReadonlyArray<string>, input?: string): Promise<LabError> =>
  run(command, args, input).then(
    () => expect.unreachable("it fails"),
    (cause: LabError) => cause
  )

test("a command's output is the result, and its input reaches it", async () => {
  expect(await run("cat", [], "a line\n")).toBe("a line\n")
})

test("a tool that is not there is missing, with the package that has it", async () => {
  const missing = await failure("hz-no-such-tool", [])
  expect(missing).toBeInstanceOf(LabError)
  expect(missing).toMatchObject({
    reason: "missing",
    message: "hz-no-such-tool is not installed: apt install hz-no-such-tool"
  })
})

test("a failure names the command, its exit code and what it said", async () => {
  const failed = await failure("ls", ["/hz/no/such/folder"])
  expect(failed.reason).toBe("failed")
  expect(failed.message).toMatch(/^ls \/hz\/no\/such\/folder failed \(2\): .*No such file or directory/)
})

test("a failure of a batch names the line at which it stopped", async () => {
  // As ip says it, whatever the machine.
  const program = "console.error('RTNETLINK answers: File exists\\nCommand failed -:2'); process.exit(1)"
  const failed = await failure(process.execPath, ["-e", program], "link add a\nlink add b\nlink add c\n")
  expect(failed.message).toMatch(/failed \(1\) at "link add b": RTNETLINK answers: File exists/)
})

test("a few at a time: all are done, and after a failure no further one is begun", async () => {
  let running = 0
  let most = 0
  const done: Array<number> = []
  const work = async (item: number): Promise<void> => {
    most = Math.max(most, ++running)
    await new Promise((resolve) => setTimeout(resolve, 1))
    running--
    if (item === 20) throw new Error("twenty")
    done.push(item)
  }
  await forEachFew([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], work)
  expect(done.length).toBe(12)
  expect(most).toBeGreaterThan(1)
  expect(most).toBeLessThan(12)
  done.length = 0
  await expect(
    forEachFew(
      Array.from({ length: 50 }, (_, index) => 20 + index),
      work
    )
  ).rejects.toThrow("twenty")
  expect(done.length).toBeLessThan(12)
})
