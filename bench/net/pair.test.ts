import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, test, vi } from "vitest"
import { run } from "../lab/command.ts"
import { listLabs } from "../lab/registry.ts"
import { cached } from "./cache.ts"
import { Child } from "./child.ts"
import { median, percentile } from "./median.ts"
import { makePair, pairMissing } from "./pair.ts"

const missing = pairMissing()
const because = missing === undefined ? "" : ` (skipped: ${missing})`

test.skipIf(missing !== undefined)(
  `two namespaces reach each other, and nothing of them is left after close, running programs included${because}`,
  async () => {
    const pair = await makePair("test")
    try {
      const said = await run([...pair.a.enter, "ip", "-o", "route", "get", pair.b.address])
      expect(said).toContain(`dev ${pair.a.device}`)
      expect(listLabs().find((lab) => lab.id === pair.id)?.namespaces).toEqual([pair.a.namespace, pair.b.namespace])
      const child = Child.start({ name: "sleeper", command: ["sleep", "60"], enter: pair.b.enter })
      const entered = async (): Promise<boolean> =>
        (await run(["ip", "netns", "pids", pair.b.namespace])).includes(String(child.pid))
      await child.until(entered, "sleeper")
      await pair.close()
      await child.finished(2_000)
    } finally {
      await pair.close()
    }
    for (const end of [pair.a, pair.b]) expect(existsSync(`/var/run/netns/${end.namespace}`)).toBe(false)
    expect(listLabs().some((lab) => lab.id === pair.id)).toBe(false)
  }
)

test("a build that fails leaves nothing in the cache that looks complete, one that works is done once", async () => {
  const folder = mkdtempSync(join(tmpdir(), "horizon-cache-"))
  vi.stubEnv("XDG_CACHE_HOME", folder)
  try {
    await expect(cached("thing", () => Promise.reject(new Error("no compiler")))).rejects.toThrow("no compiler")
    expect(readdirSync(join(folder, "horizon"))).toEqual([])
    let builds = 0
    const build = async (half: string): Promise<void> => {
      builds++
      writeFileSync(join(half, "program"), "")
    }
    for (let i = 0; i < 2; i++) expect(await cached("thing", build)).toBe(join(folder, "horizon/thing"))
    expect(readdirSync(join(folder, "horizon/thing"))).toEqual(["program"])
    expect(builds).toBe(1)
  } finally {
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true, force: true })
  }
})

test("the median of an even number of values lies between the middle two, a percentile is one of the values", () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([])).toBeNaN()
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i)
  expect(percentile(hundred, 990_000)).toBe(99)
  expect(percentile(hundred, 500_000)).toBe(50)
  expect(percentile([7], 990_000)).toBe(7)
})
