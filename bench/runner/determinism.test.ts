import { expect, test } from "vitest"
import { collectDigests } from "./determinism.ts"

/** A few scenarios that between them use everything; `npm run determinism` checks all of them with twenty seeds each. */
const NAMES = ["lan-party", "broker-outage", "swarm"]

test("fresh processes give equal digests, and a seed alone equals the seed inside a batch", {
  timeout: 180_000
}, async () => {
  const pairs = await collectDigests(NAMES, [1, 2])
  expect(pairs).toHaveLength(NAMES.length * 2)
  for (const { scenario, seed, digests } of pairs) {
    expect(digests[0], `${scenario} seed ${seed}`).toMatch(/^[0-9a-f]{16}$/)
    expect(digests, `${scenario} seed ${seed}`).toEqual(digests.map(() => digests[0]))
  }
  expect(new Set(pairs.map(({ digests }) => digests[0])).size, "different seeds differ").toBe(pairs.length)
})
