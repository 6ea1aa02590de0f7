import type { Moment } from "@horizon/core/measure/document.ts"
import { expect, test } from "vitest"
import { sequenceDiagram, wrap } from "./sequence.ts"

const step = (at: number, from: string, to: string, label: string, lost = "") => ({
  atNs: at * 1e6,
  from,
  to,
  label,
  lost
})

const MOMENT: Moment = {
  title: "a <moment>",
  atNs: 0,
  participants: ["world", "a-node-with-quite-a-long-name-indeed", "b", "c"],
  steps: [
    step(0, "world", "world", "something happens to somebody somewhere and takes a while to tell"),
    step(1, "b", "c", "a label that is much wider than a column"),
    step(1, "c", "b", "short", "no route"),
    step(2_000, "b", "a-node-with-quite-a-long-name-indeed", "late")
  ]
}

/** Boxes of all texts, by the same estimate of widths that the drawing uses. */
const boxes = (svg: string) =>
  [
    ...svg.matchAll(
      /<text class="(label|said|name|at|paused)" x="([\d.]+)" y="([\d.]+)">(?:<title>.*?<\/title>)?([^<]*)/g
    )
  ].map(([, kind, x, y, text]) => {
    const width = text.replace(/&#\d+;/g, ".").length * 6.9
    const left = kind === "at" ? Number(x) - width : kind === "paused" ? Number(x) : Number(x) - width / 2
    return { text, left, right: left + width, top: Number(y) - 11, bottom: Number(y) + 2 }
  })

test("no two texts overlap and none leaves the picture", () => {
  const svg = sequenceDiagram(MOMENT, "m").text
  const all = boxes(svg)
  const width = Number(/width="(\d+)"/.exec(svg)![1])
  expect(all.length).toBeGreaterThan(10)
  for (const box of all) {
    expect(box.left, box.text).toBeGreaterThanOrEqual(0)
    expect(box.right, box.text).toBeLessThanOrEqual(width)
    for (const other of all) {
      if (other === box) continue
      const apart =
        box.right <= other.left || other.right <= box.left || box.bottom <= other.top || other.bottom <= box.top
      expect(apart, `"${box.text}" and "${other.text}"`).toBe(true)
    }
  }
})

test("lost messages are dashed with a cross and without a head, the others have a head", () => {
  const svg = sequenceDiagram(MOMENT, "m").text
  expect(svg.match(/class="arrow lost"/g)).toHaveLength(1)
  expect(svg.match(/class="cross"/g)).toHaveLength(1)
  expect(svg.match(/marker-end/g)).toHaveLength(2)
  expect(svg).toContain("2 s later")
})

test("names are data in the drawing too", () => {
  const svg = sequenceDiagram(
    { ...MOMENT, participants: ["<b>"], steps: [step(0, "<b>", "<b>", "<script>")] },
    "m"
  ).text
  expect(svg).not.toMatch(/<b>|<script>/)
})

test("a moment without drawable steps says so", () => {
  expect(sequenceDiagram({ ...MOMENT, participants: [], steps: [] }, "m").text).toContain("Nothing was exchanged")
})

test("long words and long texts are broken into few lines of bounded length", () => {
  const lines = wrap(`${"x".repeat(70)} ${"word ".repeat(60)}`)
  expect(lines.length).toBeLessThanOrEqual(4)
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(30)
  expect(lines.at(-1)).toMatch(/…$/)
})
