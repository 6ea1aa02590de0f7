/**
 * Port: how a node tells its world that it serves. A node is an Effect that runs until it is interrupted; interruption is
 * the clean shutdown.
 */

import { Context } from "effect"

/** Called once, when the node serves; `info` is what a person would want to know: addresses, identities. */
export const Lifecycle = Context.Reference<{
  readonly ready: (info: Readonly<Record<string, string | number>>) => void
}>("horizon/Lifecycle", { defaultValue: () => ({ ready: () => {} }) })
