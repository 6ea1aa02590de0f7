/**
 * Property tests draw the same examples in every run, so that a red test is the change's fault and anybody sees the same. Give
 * `HORIZON_PROPERTY_SEED` another integer to look elsewhere; a failure prints the seed and path that find it again.
 */

import fc from "fast-check"

fc.configureGlobal({ seed: Number(process.env["HORIZON_PROPERTY_SEED"] ?? 1) })
