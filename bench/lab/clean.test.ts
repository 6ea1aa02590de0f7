import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { afterAll, describe, expect, test } from "vitest"
import { cleanLabs } from "./clean.ts"
import { named, namespacesMissing } from "./here.fixture.ts"
import {
  beginLab,
  currentBoot,
  endLab,
  isAlive,
  type LabRecord,
  listLabs,
  recordFolder,
  recordNamespaces,
  recordPid
} from "./registry.ts"

const root = mkdtempSync(join(tmpdir(), "horizon-labs-"))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const folderOf = (name: string): string => join(root, name)
const only = (folder: string): LabRecord => listLabs(folder)[0]

/** Whether a process runs; one that is dead and waits for its parent does not. */
const runs = (pid: number): boolean =>
  existsSync(`/proc/${pid}/stat`) && !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"))

describe("the record of a lab", () => {
  test("holds what is recorded, in the order of recording, and is gone when the lab ends", () => {
    const folder = folderOf("record")
    beginLab("hz-a", "a test", folder)
    recordNamespaces("hz-a", ["hz-a", "hz-a.x"], folder)
    recordNamespaces("hz-a", ["hz-a", "hz-a.y"], folder)
    recordFolder("hz-a", join(root, "hz-a-files"), folder)
    recordPid("hz-a", process.ppid, folder)
    const record = only(folder)
    expect(record).toMatchObject({
      id: "hz-a",
      purpose: "a test",
      runner: { pid: process.pid },
      namespaces: ["hz-a", "hz-a.x", "hz-a.y"],
      folders: [join(root, "hz-a-files")],
      processes: [{ pid: process.ppid }]
    })
    expect(isAlive(record)).toBe(true)
    endLab("hz-a", folder)
    endLab("hz-a", folder)
    expect(listLabs(folder)).toEqual([])
  })

  test("has one owner: a name that is taken is refused, and nothing can be recorded for a lab that is not there", () => {
    const folder = folderOf("owner")
    beginLab("hz-a", "", folder)
    expect(() => beginLab("hz-a", "", folder)).toThrow(/hz-a is there already/)
    expect(() => recordPid("hz-b", process.pid, folder)).toThrow(/hz-b has not been begun/)
  })

  test("takes no folder that could be somebody else's, and no process that is dead", () => {
    const folder = folderOf("guard")
    beginLab("hz-a", "", folder)
    for (const path of ["/", "/hz", "/home/somebody", `${root}/hz/../..`, "./reports"])
      expect(() => recordFolder("hz-a", path, folder), path).toThrow(/a lab's own folder/)
    const { pid } = spawnSync("true")
    recordPid("hz-a", pid, folder)
    expect(only(folder)).toMatchObject({ folders: [], processes: [] })
  })

  test("tells a runner from another process of its number, and from one of an earlier boot", () => {
    const folder = folderOf("alive")
    beginLab("hz-a", "", folder)
    const record = only(folder)
    expect(isAlive({ ...record, runner: { ...record.runner, startTicks: record.runner.startTicks + 1 } })).toBe(false)
    expect(isAlive({ ...record, bootId: "another" })).toBe(false)
    expect(isAlive({ ...record, runner: { pid: 2 ** 22 + 1, startTicks: 0 } })).toBe(false)
  })

  test("that is no record is passed over", () => {
    const folder = folderOf("damaged")
    mkdirSync(folder)
    writeFileSync(join(folder, "hz-a.json"), "{")
    writeFileSync(join(folder, "hz-b.json"), '{"format":"other"}')
    expect(listLabs(folder)).toEqual([])
    expect(listLabs(folderOf("none"))).toEqual([])
  })
})

describe("cleaning", () => {
  test("leaves a lab alone whose runner runs, unless all are asked for", async () => {
    const folder = folderOf("living")
    const files = join(root, "hz-files")
    mkdirSync(files)
    beginLab("hz-living", "", folder)
    recordFolder("hz-living", files, folder)
    expect(await cleanLabs({ all: false, folder })).toEqual([])
    expect(existsSync(files)).toBe(true)
    expect(await cleanLabs({ all: true, folder })).toEqual([
      { id: "hz-living", processes: 0, namespaces: 0, folders: 1 }
    ])
    expect(existsSync(files)).toBe(false)
    expect(listLabs(folder)).toEqual([])
  })

  test("kills only the very processes that were recorded", async () => {
    const folder = folderOf("pids")
    beginLab("hz-pids", "", folder)
    const ours = spawn("sleep", ["60"], { stdio: "ignore" })
    const other = spawn("sleep", ["60"], { stdio: "ignore" })
    recordPid("hz-pids", ours.pid!, folder)
    recordPid("hz-pids", other.pid!, folder)
    const record = only(folder)
    const [first, second] = record.processes
    // As if the second number had gone to another process since.
    const processes = [first, { ...second, startTicks: second.startTicks - 1 }]
    const runner = { pid: record.runner.pid, startTicks: 1 }
    writeFileSync(join(folder, "hz-pids.json"), JSON.stringify({ ...record, processes, runner }))
    expect(record.bootId).toBe(currentBoot())
    const [[, signal], cleaned] = await Promise.all([once(ours, "exit"), cleanLabs({ all: false, folder })])
    expect(signal).toBe("SIGKILL")
    expect(cleaned).toMatchObject([{ id: "hz-pids", processes: 1 }])
    expect(runs(other.pid!)).toBe(true)
    other.kill("SIGKILL")
  })

  test.skipIf(namespacesMissing !== "")(
    named("after a kill -9 of the runner leaves nothing: no process, namespace, folder or record", namespacesMissing),
    async () => {
      const id = `hz-doomed-${process.pid}`
      const program = fileURLToPath(new URL("./doomed-lab-process.fixture.ts", import.meta.url))
      const runner = spawn(process.execPath, [program, id], { stdio: ["ignore", "pipe", "inherit"] })
      const { value } = await createInterface({ input: runner.stdout })[Symbol.asyncIterator]().next()
      const { folder, inside, outside } = JSON.parse(value as string) as Record<string, never>
      expect([runs(inside), runs(outside), existsSync(folder)]).toEqual([true, true, true])
      expect(
        (await cleanLabs({ all: false })).some((one) => one.id === id),
        "its runner runs"
      ).toBe(false)
      runner.kill("SIGKILL")
      await once(runner, "exit")
      expect(listLabs().find((one) => one.id === id)).toMatchObject({ purpose: "to be killed" })
      const cleaned = await cleanLabs({ all: false })
      expect(cleaned.find((one) => one.id === id)).toEqual({ id, processes: 2, namespaces: 4, folders: 1 })
      expect([runs(inside), runs(outside), existsSync(folder)]).toEqual([false, false, false])
      const { stdout: namespaces } = spawnSync("ip", ["netns", "list"], { encoding: "utf8" })
      expect(namespaces).not.toContain(id)
      const { stdout: devices } = spawnSync("ip", ["-o", "link"], { encoding: "utf8" })
      expect(devices).not.toMatch(/veth|master br\d/)
      expect(listLabs().some((one) => one.id === id)).toBe(false)
      expect(
        (await cleanLabs({ all: false })).some((one) => one.id === id),
        "a second time finds nothing"
      ).toBe(false)
    }
  )
})
