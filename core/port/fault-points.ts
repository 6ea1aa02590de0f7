/**
 * Port: places in the code where a test may plant a fault by name. Production answers "no" to all of them at the cost of
 * a call; the simulated world answers from the scenario.
 */

import { Context } from "effect"

export const FaultPoints = Context.Reference<(name: string) => boolean>("horizon/FaultPoints", {
  defaultValue: () => () => false
})
