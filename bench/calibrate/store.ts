/** Where calibrations are kept, and what they say about figures of the simulated world. */

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import {
  type CalibrationDocument,
  type CalibrationDriver,
  type CalibrationSummary,
  summarise
} from "@horizon/core/measure/calibration.ts"
import { environment } from "../runner/provenance.ts"

/** Environment variable that names another file than the default. */
export const CALIBRATION_VARIABLE = "HORIZON_CALIBRATION"

/** The file that `horizon calibrate` writes, and from which runs in the simulated world take their label. */
export const calibrationFile = (): string =>
  process.env[CALIBRATION_VARIABLE] || fileURLToPath(new URL("../../reports/out/calibration.json", import.meta.url))

/** Writes a document, whole or not at all. */
export const writeCalibration = (path: string, document: CalibrationDocument): void => {
  mkdirSync(dirname(path), { recursive: true })
  const draft = `${path}.${process.pid}.new`
  writeFileSync(draft, `${JSON.stringify(document, undefined, 2)}\n`)
  renameSync(draft, path)
}

/** The document in a file; `undefined` if there is none, or another kind of file. */
export const readCalibration = (path: string): CalibrationDocument | undefined => {
  if (!existsSync(path)) return undefined
  try {
    const document = JSON.parse(readFileSync(path, "utf8")) as CalibrationDocument
    return document.format === "horizon-calibration/1" ? document : undefined
  } catch {
    return undefined
  }
}

let known: string | undefined

/** Label of figures from the simulated world on this machine: `simulated`, with what its calibration came to if there is one. */
export const simulatedLabel = (): string => {
  known ??= labelOf(readCalibration(calibrationFile()), environment())
  return known
}

/** As `simulatedLabel`, for a document and a machine. */
export const labelOf = (
  document: CalibrationDocument | undefined,
  here: CalibrationDocument["environment"]
): string => {
  if (document === undefined || !isOf(document, here)) return "simulated"
  const judged = document.drivers.map((driver) => ({ driver, summary: summarise(driver) }))
  const best = judged.reduce<Judged | undefined>((best, one) => (isBetter(one, best) ? one : best), undefined)
  if (best === undefined) return "simulated"
  const { compared, within, worst } = best.summary
  const some = within < compared ? `, ${within} of ${compared} streams` : ""
  const day = document.madeAt.slice(0, 10)
  const kernel = `Linux ${document.environment["kernel"]}`
  return `simulated, calibrated ±${(worst * 100).toFixed(1)} % (${day}, ${kernel}, ${best.driver.name}${some})`
}

interface Judged {
  readonly driver: CalibrationDriver
  readonly summary: CalibrationSummary
}

/** netem is another's work, and judges the simulator; `link` is the simulator's own links and proves only that real time is kept. */
const RANK: Readonly<Record<string, number>> = { tc: 2, box: 1, link: 0 }

const isBetter = (one: Judged, than: Judged | undefined): boolean =>
  one.summary.within > 0 && (than === undefined || RANK[one.driver.name] > RANK[than.driver.name])

/** Whether a document was made on a machine: the runtime may be another. */
const isOf = ({ environment }: CalibrationDocument, here: CalibrationDocument["environment"]): boolean =>
  ["platform", "kernel", "cpu", "cores"].every((field) => environment[field] === here[field])
