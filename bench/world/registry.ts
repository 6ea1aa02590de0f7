/** All worlds; a name that is not here cannot select nothing. */

import { makeLoopback } from "./loopback.ts"
import { makeMininet } from "./mininet.ts"
import { makeNetns } from "./netns.ts"
import { makeSimulated } from "./simulated.ts"
import type { World } from "./world.ts"

export const WORLDS: ReadonlyArray<World> = [makeSimulated(), makeLoopback(), makeNetns(), makeMininet()]
