import { readdirSync } from "node:fs"
import { expect, test } from "vitest"
import { soak } from "../section/soak.ts"

const missing = soak.missing()

test.skipIf(missing !== undefined)(
  `ten seconds of the tunnel at full rate: every packet is explained, nothing is said to be wrong, nothing is left behind${missing === undefined ? "" : ` (skipped: ${missing})`}`,
  // Once more if the machine stood still for seconds, in which a session ends as it should.
  { timeout: 120_000, retry: 1 },
  async () => {
    const before = new Set(readdirSync("/var/run/netns"))
    const measured = await soak.measure({ effort: "quick", onProgress: () => {} })
    const missed = measured.musts.filter(({ met }) => !met)
    expect(missed).toEqual([])
    expect(measured.musts.map(({ name }) => name)).toEqual([
      "descriptors broker",
      "descriptors gateway",
      "descriptors client",
      "books gateway",
      "books client",
      "losses",
      "troubles",
      "sessions"
    ])
    const books = measured.tables.find(({ name }) => name === "books")!
    expect(books.rows).toHaveLength(9)
    for (const { figures, title } of books.rows) expect(figures["in"].median, title).toBeGreaterThan(10_000)
    const own = [...readdirSync("/var/run/netns")].filter((name) => name.startsWith(`hzp${process.pid}n`))
    expect(own.filter((name) => !before.has(name))).toEqual([])
  }
)
