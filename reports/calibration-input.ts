/** Reads the calibration (core/measure/calibration.ts) beside which a report lies: by it its simulated figures are to be judged. */

import { existsSync } from "node:fs"
import { join } from "node:path"
import type { CalibrationDocument } from "@horizon/core/measure/calibration.ts"
import { parsed, readText } from "./input.ts"
import { list, number, object, oneOf, record, scalar, text, truth } from "./shape.ts"

/** Name of the document in the folder of a report. */
export const CALIBRATION_FILE = "calibration.json"

/** The calibration in a folder; `undefined` if there is none. One that cannot be read is none of the report's. */
export const findCalibration = async (directory: string): Promise<CalibrationDocument | undefined> => {
  const file = join(directory, CALIBRATION_FILE)
  if (!existsSync(file)) return undefined
  try {
    return parsed<CalibrationDocument>(file, await readText(file), DOCUMENT_SHAPE, "calibrate again or remove the file")
  } catch {
    return undefined
  }
}

const FIGURES = object({
  sent: number,
  received: number,
  goodputBps: number,
  delayP50Ns: number,
  delayP99Ns: number,
  reordered: number,
  duplicates: number,
  lossRuns: number
})

const RESULT = object({
  row: text,
  way: oneOf("up", "down"),
  simulated: FIGURES,
  measured: FIGURES,
  differences: list(
    object({ figure: text, simulated: number, measured: number, difference: number, bound: number, within: truth })
  ),
  within: truth,
  causes: list(text),
  tries: number,
  waited: number
})

const DOCUMENT_SHAPE = object({
  format: oneOf("horizon-calibration/1"),
  madeAt: text,
  commit: text,
  environment: record(scalar),
  seed: number,
  quick: truth,
  machine: object({ wakeP50Ns: number, wakeP99Ns: number, wakeMaxNs: number, idleRatio: number }),
  drivers: list(object({ name: text, means: text, seconds: number, notes: list(text), results: list(RESULT) })),
  missing: list(object({ name: text, sentence: text }))
})
