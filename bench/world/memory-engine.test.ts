import { expect, test } from "vitest"
import { openMemoryEngine } from "./memory-engine.ts"

const thrownBy = (work: () => unknown): unknown => {
  try {
    work()
  } catch (cause) {
    return cause
  }
  return expect.unreachable("nothing was thrown")
}

test("what SQLite refuses has SQLite's code, and a value that it cannot hold is another error", () => {
  const engine = openMemoryEngine()
  engine.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, size INTEGER NOT NULL)", [])
  const insert = (...values: ReadonlyArray<unknown>) => engine.run("INSERT INTO t VALUES (?, ?, ?)", values)
  insert(1, "a", 1)
  for (const [values, code] of [
    [[1, "b", 1], "SQLITE_CONSTRAINT_PRIMARYKEY"],
    [[2, "a", 1], "SQLITE_CONSTRAINT_UNIQUE"],
    [[2, "b", null], "SQLITE_CONSTRAINT_NOTNULL"]
  ] as const)
    expect(thrownBy(() => insert(...values))).toMatchObject({ name: "EngineError", code })
  expect(thrownBy(() => engine.run("SELECT x FROM t", []))).toMatchObject({ code: "SQLITE_ERROR" })
  expect(thrownBy(() => insert(2, {}, 1))).not.toMatchObject({ name: "EngineError" })
  expect(engine.run("SELECT * FROM t", [])).toEqual({ columns: ["id", "name", "size"], rows: [[1, "a", 1]] })
})

test("each engine is a database of its own", () => {
  const [one, two] = [openMemoryEngine(), openMemoryEngine()]
  one.run("CREATE TABLE t (n)", [])
  expect(thrownBy(() => two.run("SELECT n FROM t", []))).toMatchObject({ code: "SQLITE_ERROR" })
})

test("a statement sees the columns that the table has now, also after the table was altered", () => {
  const engine = openMemoryEngine()
  engine.run("CREATE TABLE t (a INTEGER)", [])
  engine.run("INSERT INTO t VALUES (1)", [])
  expect(engine.run("SELECT * FROM t", []).columns).toEqual(["a"])
  engine.run("ALTER TABLE t ADD COLUMN b INTEGER", [])
  expect(engine.run("SELECT * FROM t", [])).toEqual({ columns: ["a", "b"], rows: [[1, null]] })
})
