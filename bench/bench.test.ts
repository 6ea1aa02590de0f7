import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { BenchDocument } from "@horizon/core/measure/bench.ts"
import { hasFigures } from "@horizon/core/measure/bench.ts"
import { nativeMissing } from "@horizon/real/native.ts"
import { readBench } from "@horizon/reports/bench-input.ts"
import { afterEach, beforeEach, expect, test } from "vitest"
import { type BenchEvent, type BenchRequest, listSections, runBench } from "./bench.ts"
import { missingTool } from "./lab/command.ts"
import { UnknownName } from "./runner/plan.ts"
import { SECTIONS } from "./section/registry.ts"

let out = ""
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), "horizon-bench-"))
})
afterEach(() => rmSync(out, { recursive: true, force: true }))

const events: Array<BenchEvent> = []
const glance = (change: Partial<BenchRequest>): Promise<BenchDocument> => {
  events.length = 0
  return runBench({
    sections: [],
    effort: "glance",
    out,
    command: "npx horizon bench",
    onEvent: (event) => events.push(event),
    ...change
  })
}

/** Every figure is a number above zero, but for losses. */
const sound = ({ sections }: BenchDocument): void => {
  for (const { tables } of sections)
    for (const { name, rows } of tables)
      for (const row of rows)
        for (const [column, { median, rounds }] of Object.entries(row.figures)) {
          expect(rounds.length, `${name}, ${row.name}, ${column}`).toBeGreaterThan(0)
          if (!["lost", "drops"].includes(column)) expect(median, `${name}, ${row.name}, ${column}`).toBeGreaterThan(0)
        }
}

const notHere = missingTool("setpriv") ?? missingTool("cc") ?? nativeMissing()

test("simulator and handshakes are measured anywhere; the document is what was written, and the page is beside it", async () => {
  const document = await glance({ sections: ["handshakes", "simulator"] })
  expect(document.sections.map(({ name }) => name)).toEqual(["simulator", "handshakes"])
  expect(document.sections.every(hasFigures)).toBe(true)
  sound(document)
  expect(await readBench(join(out, "bench.json"))).toEqual(JSON.parse(JSON.stringify(document)))
  expect(readFileSync(join(out, "index.html"), "utf8")).toContain("Handshakes answered, one core")
  expect(readdirSync(out).sort()).toEqual(["bench.json", "index.html"])
  expect(events.map(({ kind }) => kind).filter((kind) => kind !== "progress")).toEqual([
    "planned",
    "started",
    "finished",
    "started",
    "finished",
    "written"
  ])
})

test.skipIf(notHere !== undefined)(
  `UDP rates and the secure pipeline are measured beside C on this host${notHere === undefined ? "" : ` (skipped: ${notHere})`}`,
  { timeout: 120_000 },
  async () => {
    const document = await glance({ sections: ["udp", "pipeline"] })
    expect(document.sections.flatMap(({ broken, missing, notes }) => [broken, missing, notes])).toEqual([
      undefined,
      {},
      [],
      undefined,
      {},
      []
    ])
    sound(document)
    const [udp, pipeline] = document.sections
    const rows = (table: string) =>
      [...udp.tables, ...pipeline.tables].find(({ name }) => name === table)!.rows.map(({ name }) => name)
    expect(rows("loopback-from-c-gso")).toEqual(["c-gro", "node-dgram", "native"])
    expect(rows("loopback-send")).toEqual(["c-gso", "native"])
    expect(rows("socket-200-gso")).toEqual(["session", "c-recvmmsg", "c-drain", "c-gro"])
    expect(rows("memory")).toEqual(["native", "node-crypto"])
    // Whatever the host is busy with: what is opened in memory is more than a tenth of the bar.
    const inMemory = pipeline.musts.find(({ name }) => name === "memory 64")!
    expect(inMemory.value).toBeGreaterThan(60_000)
  }
)

const tunnelMissing = notHere ?? SECTIONS.find(({ name }) => name === "tunnel")!.missing()

test.skipIf(tunnelMissing !== undefined)(
  `Horizon's tunnel is measured beside the bare path${tunnelMissing === undefined ? "" : ` (skipped: ${tunnelMissing})`}`,
  { timeout: 120_000 },
  async () => {
    const { sections } = await glance({ sections: ["tunnel"] })
    const [{ broken, missing, tables }] = sections
    expect([broken, missing]).toEqual([undefined, {}])
    const tcp = tables.find(({ name }) => name === "tcp")!
    expect(tcp.rows.map(({ name }) => name)).toEqual(["raw-veth", "horizon"])
    for (const row of tcp.rows) expect(row.figures["tcp1Forward"]?.median, row.name).toBeGreaterThan(1e6)
    const [path, ours] = tables.find(({ name }) => name === "rtt")!.rows
    expect(ours.figures["rttIdleP50"].median).toBeGreaterThan(path.figures["rttIdleP50"].median)
  }
)

test("a section that cannot be measured here is named with its reason, and one that there is not is refused", async () => {
  const tunnel = SECTIONS.find(({ name }) => name === "tunnel")!
  const reason = "this is a test"
  const { missing } = tunnel
  Object.assign(tunnel, { missing: () => reason })
  try {
    const document = await glance({ sections: ["tunnel"] })
    expect(document.sections).toMatchObject([{ name: "tunnel", tables: [], missing: { tunnel: reason } }])
  } finally {
    Object.assign(tunnel, { missing })
  }
  await expect(glance({ sections: ["tunel"] })).rejects.toThrow(UnknownName)
  await expect(glance({ sections: ["tunel"] })).rejects.toThrow(/choose from simulator, udp/)
})

test("a bench that is stopped keeps what had finished and says that it was stopped", async () => {
  const stop = new AbortController()
  const document = await glance({
    sections: ["simulator", "handshakes"],
    signal: stop.signal,
    onEvent: (event) => {
      events.push(event)
      if (event.kind === "finished") stop.abort()
    }
  })
  expect(document.interrupted).toBe(true)
  expect(document.sections.map(({ name }) => name)).toEqual(["simulator"])
  expect((await readBench(join(out, "bench.json"))).interrupted).toBe(true)
})

test("the soak is measured only when it is asked for", () => {
  expect(listSections().filter(({ onRequest }) => onRequest)).toMatchObject([{ name: "soak" }])
})
