/** What the link driver and its process say to each other: one JSON object on a line. */

import type { LinkSpec } from "@horizon/core/link/spec.ts"
import type { LinkCount, LinkWay } from "../link-driver.ts"

/** The first line that the process gets: which devices to make in its namespace. */
export interface LinkOrder {
  readonly seed: number
  /** Whether it never sleeps: frames that come need not wake it, and a processor has nothing else to do. For who measures the links themselves. */
  readonly awake: boolean
  readonly links: ReadonlyArray<{ readonly name: string; readonly host: string; readonly subnet: string }>
}

/** Each later line. The process answers each line, in order. */
export type LinkRequest =
  | { readonly do: "configure"; readonly link: string; readonly way: LinkWay; readonly spec: LinkSpec }
  | { readonly do: "counts" }

export type LinkAnswer =
  | { readonly ok: true; readonly counts?: ReadonlyArray<readonly [string, Readonly<Record<LinkWay, LinkCount>>]> }
  /** `missing`: this host lacks something, which the sentence names. */
  | { readonly ok: false; readonly missing: boolean; readonly sentence: string }
