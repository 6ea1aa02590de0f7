/** The table of links by which worlds are compared, as a scenario of its own. */

import { CALIBRATION_GROUPS } from "../calibration/links.ts"
import { calibrationOf } from "../calibration/plan.ts"

export const calibration = calibrationOf(CALIBRATION_GROUPS)
