import { expect, test } from "vitest"
import { count, counted, duration, moment, scaleFor, share, significant, withUnit } from "./figures.ts"

test("durations carry the unit that fits them", () => {
  expect([0, 850, 12_345, 4_560_000, 1_234_000_000, 125e9].map(duration)).toEqual([
    "0 ns",
    "850 ns",
    "12.3 µs",
    "4.56 ms",
    "1.23 s",
    "125 s"
  ])
  expect(moment(12_345.6)).toBe("12.346 s")
})

test("counts are grouped by thousands and agree with their noun", () => {
  expect(count(1_234_567)).toBe("1,234,567")
  expect([counted(1, "check"), counted(2, "check"), counted(0, "series", "series")]).toEqual([
    "1 check",
    "2 checks",
    "0 series"
  ])
  expect([significant(12_345.6), significant(0.012345), significant(-2.5)]).toEqual(["12,346", "0.0123", "-2.5"])
})

test("a share is 100 % or 0 % only if it is exactly that", () => {
  expect([share(1, 1), share(0, 5), share(999_999, 1_000_000), share(1, 1_000_000), share(1, 3), share(1, 0)]).toEqual([
    "100 %",
    "0 %",
    "> 99.99 %",
    "< 0.01 %",
    "33.3 %",
    "–"
  ])
})

test("a scale is chosen by the largest value, and unknown units are left alone", () => {
  expect(scaleFor("Mbit/s", 0.05)).toEqual({ factor: 1000, unit: "kbit/s" })
  expect(scaleFor("bytes", 3 * 1024 ** 2)).toEqual({ factor: 1 / 1024 ** 2, unit: "MiB" })
  expect(scaleFor("us", 0).unit).toBe("µs")
  expect(scaleFor("players", 1e9)).toEqual({ factor: 1, unit: "players" })
  expect([withUnit(0.0123, "ms"), withUnit(2_500, "Mbit/s")]).toEqual(["12.3 µs", "2.5 Gbit/s"])
})
