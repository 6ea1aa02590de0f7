import { expect, test } from "vitest"
import { paint, table, wrap } from "./screen.ts"

test("lines break at spaces, and what is indented or in brackets stays whole", () => {
  expect(wrap("one two three four", 9)).toEqual(["one two", "three", "four"])
  expect(wrap("TCP port [default: 80] [env: A_B]", 16)).toEqual(["TCP port", "[default: 80]", "[env: A_B]"])
  expect(wrap("first\n\n  indented lines are kept as they are", 10)).toEqual([
    "first",
    "",
    "  indented lines are kept as they are"
  ])
  expect(wrap("averyveryverylongword", 5)).toEqual(["averyveryverylongword"])
})

test("columns are aligned by what is seen, not by what is painted", () => {
  const rows = [
    ["name", "n", "x"],
    ["a", "100", ""]
  ]
  expect(table(rows, { right: [1] })).toEqual(["name    n  x", "a     100"])
  const style = (cell: string): string => paint(true, "red", cell)
  expect(table(rows, { style })[1]).toBe("\u001b[31ma\u001b[0m     \u001b[31m100\u001b[0m")
  expect(paint(false, "red", "a")).toBe("a")
})
