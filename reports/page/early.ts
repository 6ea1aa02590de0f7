/** Runs before anything is painted, so that a chosen theme does not flash. */

import { storedTheme } from "./theme-choice.ts"

const chosen = storedTheme()
if (chosen !== null) document.documentElement.dataset["theme"] = chosen
document.documentElement.classList.add("scripted")
