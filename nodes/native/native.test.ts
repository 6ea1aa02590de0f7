import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, test } from "vitest"
import { load, loadNative } from "./native.ts"

const loaded = loadNative()
const why = "missing" in loaded ? loaded.missing : ""

describe("loading", () => {
  test("says why there is no module and what to do, and throws nothing", () => {
    const folder = mkdtempSync(join(tmpdir(), "horizon-load-"))
    const put = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text)
      return join(folder, name)
    }
    const missing = (path: string, wish?: string): string => {
      const result = load(path, wish)
      return "missing" in result ? result.missing : "loaded"
    }
    expect(missing(join(folder, "none.node"))).toBe("the native module is not built: run: npm run native")
    expect(missing(put("x.node", "no library"))).toMatch(/cannot be loaded \(.*\); build it again: npm run native$/)
    expect(missing(put("old.cjs", "exports.INTERFACE = 0"))).toMatch(/another version.*npm run native$/)
    expect(missing(put("x.node", ""), "off")).toMatch(/switched off by HORIZON_NATIVE=off$/)
    put("damaged.stamp", "{")
    expect(missing(join(folder, "damaged.node"))).toBe("the native module is not built: run: npm run native")
    rmSync(folder, { recursive: true })
  })
})

describe.skipIf(why !== "")(`native module${why === "" ? "" : `: ${why}`}`, () => {
  /** Runs a program that has the module as `m` and has opened something of each kind, on the main thread or in workers. */
  const outcome = (inWorker: boolean, body: string) => {
    const script = `
      import { isMainThread, Worker } from "node:worker_threads"
      import { loadNative } from "${fileURLToPath(new URL("native.ts", import.meta.url))}"
      const m = loadNative().module
      const words = () => new Uint32Array(8)
      const batch = () => ({ slab: new Uint8Array(262144), start: words(), length: new Int32Array(8), address: new Uint32Array(32),
        port: new Uint16Array(8), ecn: new Uint8Array(8), capacity: 8, slotBytes: 2048 })
      const open = (onTime) => {
        const key = m.aeadKey(1, new Uint8Array(32))
        const work = m.aeadWork(new Uint8Array(4096), words(), words(), words(), words(), new Uint8Array(8))
        const options = { address: Uint32Array.of(0, 0, 0xffff, 0x7f000001), port: 0, broadcast: false, rxFrom: 0, rxBytes: 131072,
          gso: true, gro: true, workers: 0, timestamps: true }
        const socket = m.udpOpen(options, batch(), batch(), new Float64Array(16), new Float64Array(8), () => {})
        const timer = m.timerOpen(onTime)
        m.timerArm(timer, 1e6)
        if (key <= 0 || work <= 0 || socket <= 0 || timer <= 0) throw new Error("not opened")
        return { key, work, socket, timer }
      }
      if (${inWorker} && isMainThread) {
        for (let i = 0; i < 3; i++) {
          const worker = new Worker(process.argv[1])
          worker.on("error", (error) => console.log(error.message))
          const ended = new Promise((resolve) => worker.on("exit", resolve))
          worker.on("message", () => worker.terminate())
          console.log(await ended)
        }
      } else { ${body} }`
    const folder = mkdtempSync(join(tmpdir(), "horizon-native-"))
    const path = join(folder, "program.mjs")
    writeFileSync(path, script)
    const { signal, status, stdout } = spawnSync(process.execPath, [path], { encoding: "utf8", timeout: 20_000 })
    rmSync(folder, { recursive: true })
    return { signal, status, said: stdout.trim().split("\n") }
  }

  const everywhere = [
    ["the process", false],
    ["a worker", true]
  ] as const

  test.each(everywhere)("%s may end while everything is open and a handler runs", (_, inWorker) => {
    const { said, signal, status } = outcome(inWorker, "open(() => process.exit(3))")
    expect({ signal, status }).toEqual({ signal: null, status: inWorker ? 0 : 3 })
    if (inWorker) expect(said).toEqual(["3", "3", "3"])
  })

  test.each(everywhere)("%s may die of what a handler throws while everything is open", (_, inWorker) => {
    const { said, signal, status } = outcome(inWorker, 'open(() => { throw new Error("planted") })')
    expect({ signal, status }).toEqual({ signal: null, status: inWorker ? 0 : 1 })
    if (inWorker) expect(said).toEqual(["planted", "1", "planted", "1", "planted", "1"])
  })

  test("a worker may be terminated while everything is open", () => {
    const { said, signal } = outcome(
      true,
      'open(() => {}); (await import("node:worker_threads")).parentPort.postMessage(1)'
    )
    expect({ said, signal }).toEqual({ said: ["1", "1", "1"], signal: null })
  })

  test.each(everywhere)("%s ends by itself when all is closed, from within a handler too", (_, inWorker) => {
    const body = `const it = open(() => {
      m.timerClose(it.timer); m.timerClose(it.timer); m.udpClose(it.socket); m.aeadWorkEnd(it.work); m.aeadWipe(it.key)
      if (m.timerArm(it.timer, 1) >= 0 || m.aeadSeal(it.work, 8) !== 0 || m.udpSend(it.socket, 8) !== 0) process.exit(9)
    })`
    const { said, signal, status } = outcome(inWorker, body)
    expect({ signal, status }).toEqual({ signal: null, status: 0 })
    if (inWorker) expect(said).toEqual(["0", "0", "0"])
  })
})
