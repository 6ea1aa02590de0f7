import { expect, test } from "vitest"
import { ChangeQueue } from "./change-queue.ts"

const soon = () => new Promise((resolve) => setTimeout(resolve, 2))

test("changes are made one behind the other and taken back in their turn, once; a failure is told and stops nothing", async () => {
  const log: Array<string> = []
  const failures: Array<string> = []
  const queue = new ChangeQueue((sentence) => failures.push(sentence))
  const lasting = queue.pushLasting("the link", async () => {
    await soon()
    log.push("link changed")
    return async () => {
      await soon()
      log.push("link as before")
    }
  })
  const never = queue.pushLasting("the partition", async () => {
    await soon()
    throw new Error("nft is not installed")
  })
  queue.push("the wipe", async () => log.push("wiped"))
  lasting()
  lasting()
  never()
  await queue.settled()
  expect(log).toEqual(["link changed", "wiped", "link as before"])
  expect(failures).toEqual(["the partition failed: nft is not installed"])
})
