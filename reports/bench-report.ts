/** Makes the page of a benchmark from the document in its folder. */

import { existsSync } from "node:fs"
import { join } from "node:path"
import { writeWhole } from "./atomic-file.ts"
import { BENCH_FILE, readBench } from "./bench-input.ts"
import { renderBenchPage } from "./bench-page.ts"

export { BENCH_FILE } from "./bench-input.ts"

const PAGE = "index.html"

/**
 * Reads the bench document in `directory` and writes the page beside it; resolves with the page's path. Rejects with a `ReportInputError` that
 * names the file if it cannot be used. The page links to the report of the folder above, if that has one.
 */
export const writeBenchReport = async (directory: string): Promise<string> => {
  const document = await readBench(join(directory, BENCH_FILE))
  const above = existsSync(join(directory, "..", PAGE)) ? `../${PAGE}` : undefined
  const html = join(directory, PAGE)
  await writeWhole(html, renderBenchPage(document, above))
  return html
}
