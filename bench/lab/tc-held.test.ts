import { readFileSync } from "node:fs"
import { type LinkSpec, linkSpec } from "@horizon/core/link/spec.ts"
import { tcPlan } from "@horizon/core/link/tc.ts"
import { describe, expect, test } from "vitest"
import { applyTc, changeTc, isPerfect, stackCount, type TcExec } from "./tc-held.ts"
import { type HeldQdisc, heldProblems } from "./tc-settings.ts"

/** What a kernel with netem answered to `tc -j -d -r -s qdisc show` after each of these specs had been put on. */
const golden = JSON.parse(readFileSync(new URL("golden/tc-held.json", import.meta.url), "utf8")) as {
  readonly kernel: string
  readonly cases: ReadonlyArray<{ readonly change: Partial<LinkSpec>; readonly held: ReadonlyArray<HeldQdisc> }>
}

const planOf = (change: Partial<LinkSpec>): ReadonlyArray<ReadonlyArray<string>> => {
  const plan = tcPlan(linkSpec(change), "lo")
  if (!plan.ok) throw new Error("refused")
  return plan.qdiscs
}

describe(`what kernel ${golden.kernel} held`, () => {
  test.each(golden.cases)("is what was planned: $change", ({ change, held }) => {
    expect(heldProblems(planOf(change), held)).toEqual([])
  })

  test("differs from every other plan, down to a single setting", () => {
    const confused: Array<string> = []
    for (const [index, { held }] of golden.cases.entries())
      for (const [other, { change }] of golden.cases.entries())
        if (other !== index && heldProblems(planOf(change), held).length === 0) confused.push(`${index} for ${other}`)
    // One microsecond is below what tc prints, and the kernel never shows the distribution's table.
    const same = (a: number, b: number): boolean =>
      [a, b].every((at) => isPerfect({ ...linkSpec(golden.cases[at].change), delayUs: 0 }))
    expect(confused.filter((pair) => !same(...(pair.split(" for ").map(Number) as [number, number])))).toEqual([])
  })

  test.each([
    ["a delay that was cut", { delayUs: 20_000 }, { delayUs: 19_990 }, /delay us 19990 was planned, 20000 is there/],
    ["a jitter", { delayUs: 20_000, jitterUs: 5_000 }, { delayUs: 20_000, jitterUs: 5_100 }, /jitter us 5100/],
    ["a missing jitter", { delayUs: 20_000 }, { delayUs: 20_000, jitterUs: 5_000 }, /jitter us 5000 was planned, 0 is/],
    ["a loss nobody asked for", { lossPpm: 12_345 }, {}, /loss ppm 0 was planned, 12345 is there/],
    ["a loss one ppm off", { lossPpm: 12_345 }, { lossPpm: 12_346 }, /loss ppm 12346 was planned/]
  ] as const)("finds %s", (_, held, planned, expected) => {
    const there = golden.cases.find(({ change }) => JSON.stringify(change) === JSON.stringify(held))!.held
    expect(heldProblems(planOf(planned), there).join("; ")).toMatch(expected)
  })

  test("finds any number of any qdisc that is a tenth off", () => {
    /** The value with one of its numbers changed, for each of them. Some microseconds are within what tc rounds. */
    const spoil = (value: unknown, key = ""): ReadonlyArray<unknown> => {
      if (typeof value === "number")
        return value === 0 || (/delay|jitter/.test(key) && value < 1e-5) ? [] : [value * 1.1]
      if (typeof value !== "object" || value === null) return []
      return Object.entries(value).flatMap(([name, part]) =>
        spoil(part, name).map((spoilt) => ({ ...value, [name]: spoilt }))
      )
    }
    let changed = 0
    for (const { change, held } of golden.cases)
      for (const [at, qdisc] of held.entries()) {
        // What tbf says of its latency follows from the other settings.
        const { lat: _, ...options } = qdisc.options as Record<string, unknown>
        for (const spoilt of spoil(options)) {
          changed++
          const spoiltHeld = held.map((one, index) => (index === at ? { ...qdisc, options: spoilt as {} } : one))
          expect(heldProblems(planOf(change), spoiltHeld), JSON.stringify(spoilt)).toHaveLength(1)
        }
      }
    expect(changed).toBeGreaterThan(80)
  })
})

describe("applying a spec", () => {
  /** A kernel that holds nothing, or what it is told to. */
  const kernel = (held: ReadonlyArray<HeldQdisc>, refuse = "") => {
    const said: Array<string> = []
    let added = false
    const exec: TcExec = async (args) => {
      said.push(args.join(" "))
      if (args.includes("add")) {
        if (refuse !== "") throw new Error(refuse)
        added = true
      }
      return args.includes("show") ? JSON.stringify(added ? held : []) : ""
    }
    return { exec, said }
  }
  const { held } = golden.cases.find(({ change }) => change.delayUs === 20_000 && change.jitterUs === undefined)!

  test("believes the kernel, and says what it holds instead", async () => {
    const spec = linkSpec({ delayUs: 20_000 })
    expect(await applyTc(kernel(held).exec, "lo", spec, "a/up")).toEqual([])
    await expect(applyTc(kernel([]).exec, "lo", spec, "a/up")).rejects.toThrow(/link a\/up: .*1 qdiscs were planned, 0/)
    await expect(applyTc(kernel(held).exec, "lo", { ...spec, delayUs: 1_000 }, "a/up")).rejects.toThrow(/delay us 1000/)
  })

  test("a perfect spec needs no qdisc, and takes away what was there", async () => {
    const { exec, said } = kernel(held)
    await exec(["qdisc", "add"])
    expect(await applyTc(exec, "lo", linkSpec(), "a/up")).toEqual([])
    expect(said.slice(1)).toEqual(["-j -d -r -s qdisc show dev lo", "qdisc del dev lo root"])
  })

  test("a qdisc that the kernel lacks is missing, not failed, and is named", async () => {
    const { exec } = kernel([], "tc …: Error: Specified qdisc kind is unknown.")
    await expect(applyTc(exec, "lo", linkSpec({ delayUs: 5 }), "a/up")).rejects.toMatchObject({
      reason: "missing",
      message: expect.stringMatching(/link a\/up: this kernel has no netem/)
    })
  })

  test("what tc cannot do names the field's sentence and the driver that can", async () => {
    const { exec } = kernel([])
    await expect(applyTc(exec, "lo", linkSpec({ dropList: [1] }), "a/up")).rejects.toThrow(
      /drop packets by their number.*driver "link" can/
    )
  })
})

describe("changing a spec", () => {
  const heldFor = (change: Partial<LinkSpec>): ReadonlyArray<HeldQdisc> =>
    golden.cases.find((one) => JSON.stringify(one.change) === JSON.stringify(change))!.held

  /** A kernel that holds one thing, then, once told to change it or to add to it, another. */
  const kernel = (first: ReadonlyArray<HeldQdisc>, changed: ReadonlyArray<HeldQdisc>, added = changed) => {
    const said: Array<string> = []
    let held = first
    const exec: TcExec = async (args) => {
      const [verb] = args.slice(1)
      if (args[0] !== "-j") said.push(verb)
      if (verb === "change") held = changed
      if (verb === "del") held = []
      if (verb === "add") held = added
      return args[0] === "-j" ? JSON.stringify(held) : ""
    }
    return { exec, said }
  }
  const delay = heldFor({ delayUs: 20_000 })
  const longer = heldFor({ delayUs: 300_000 })

  test("changes the same qdiscs where they stand, so that nothing on its way is lost", async () => {
    const { exec, said } = kernel(delay, longer)
    expect(await changeTc(exec, "lo", linkSpec({ delayUs: 300_000 }), "a/up")).toEqual({ notes: [], replaced: false })
    expect(said).toEqual(["change"])
  })

  test("replaces a stack in which an old setting stays, or of other qdiscs", async () => {
    const stays = kernel(heldFor({ lossPpm: 12_345 }), heldFor({ lossPpm: 12_345 }), longer)
    expect(await changeTc(stays.exec, "lo", linkSpec({ delayUs: 300_000 }), "a/up")).toMatchObject({ replaced: true })
    expect(stays.said).toEqual(["change", "del", "add"])
    const other = kernel(heldFor(golden.cases[21].change), longer)
    expect(await changeTc(other.exec, "lo", linkSpec({ delayUs: 300_000 }), "a/up")).toMatchObject({ replaced: true })
    expect(other.said).toEqual(["del", "add"])
  })

  test("replaces a stack whose table of jitter would stay unseen", async () => {
    const uniform = { delayUs: 9, jitterUs: 5, distribution: "uniform" } as const
    const { exec, said } = kernel(heldFor({ delayUs: 20_000, jitterUs: 5_000 }), heldFor(uniform))
    expect(await changeTc(exec, "lo", linkSpec(uniform), "a/up")).toMatchObject({ replaced: true })
    expect(said).toEqual(["del", "add"])
  })

  test("leaves no qdisc behind when the kernel holds something else", async () => {
    const { exec, said } = kernel([], [], delay)
    await expect(changeTc(exec, "lo", linkSpec({ delayUs: 300_000 }), "a/up")).rejects.toThrow(/delay us 300000/)
    expect(said).toEqual(["add", "del"])
  })
})

test("counts are of IP packets: an Ethernet header, or the framing of the size table, is taken off", () => {
  const count = { bytes: 1_040, packets: 10, drops: 3, overlimits: 2 }
  const netem: HeldQdisc = { kind: "netem", handle: "1:", root: true, options: {}, ...count }
  expect(stackCount([netem], linkSpec())).toMatchObject({ packets: 10, bytes: 900, dropped: 3, overlimits: 2 })
  const framed: HeldQdisc = { ...netem, stab: { overhead: 24 } }
  const codel: HeldQdisc = { ...netem, kind: "codel", handle: "3:", root: false, parent: "2:1", ecn_mark: 4 }
  expect(stackCount([framed, codel], linkSpec({ overheadBytes: 38 }))).toMatchObject({ bytes: 660, marked: 4 })
  expect(stackCount([{ ...netem, handle: "0:" }], linkSpec()).packets).toBe(0)
})
