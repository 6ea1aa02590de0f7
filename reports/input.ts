/** Files that a report is made of, read with messages that say which file is wrong, how, and what to do. */

import { readFile } from "node:fs/promises"
import type { Shape } from "./shape.ts"

/** A file that cannot be used. The message names it, says what is wrong and what to do. */
export class ReportInputError extends Error {
  override readonly name = "ReportInputError"
  readonly file: string

  constructor(file: string, problem: string) {
    super(`${file}: ${problem}`)
    this.file = file
  }
}

export const readText = (path: string): Promise<string> =>
  readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new ReportInputError(path, `cannot be read (${error.code})`)
  })

/** The value that `json` stands for, if it has the shape; `remedy` is what to do if not. */
export const parsed = <A>(where: string, json: string, shape: Shape, remedy: string): A => {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    throw new ReportInputError(where, `is not JSON (${json.length} characters, perhaps cut off); ${remedy}`)
  }
  const problem = shape(value, "")
  if (problem !== undefined) throw new ReportInputError(where, `${problem.replace(/^: /, "")}; ${remedy}`)
  return value as A
}
