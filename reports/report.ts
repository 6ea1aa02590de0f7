/**
 * Makes the report of a folder of runs: `index.html` for people, `junit.xml` for continuous integration, `report.json` for
 * programs. The result depends on nothing but the folder's run records and documents, the calibration among them, and on
 * the benchmarks in folders of it, which it links to.
 */

import { join } from "node:path"
import { writeWhole } from "./atomic-file.ts"
import { readBatch } from "./batch.ts"
import { findBenches } from "./bench-input.ts"
import { findCalibration } from "./calibration-input.ts"
import { junitXml } from "./junit.ts"
import { renderPage } from "./page.ts"
import { summarise } from "./summary.ts"

export interface WrittenReport {
  /** Paths of the files. */
  readonly html: string
  readonly junit: string
  readonly json: string
}

/**
 * Reads `directory`, which `scenario run --out` filled, and writes the three files into it, each whole or not at all. Rejects
 * with a `ReportInputError` that names the file if one cannot be used; nothing is written then.
 */
export const writeReport = async (directory: string): Promise<WrittenReport> => {
  const batch = await readBatch(directory)
  const paths = {
    html: join(directory, "index.html"),
    junit: join(directory, "junit.xml"),
    json: join(directory, "report.json")
  }
  await writeWhole(paths.junit, junitXml(batch))
  await writeWhole(paths.json, `${JSON.stringify(summarise(batch), undefined, 2)}\n`)
  await writeWhole(paths.html, renderPage(batch, await findBenches(directory), await findCalibration(directory)))
  return paths
}
