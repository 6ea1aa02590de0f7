import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { hostFactsContract } from "@horizon/core/port/host-facts.contract.ts"
import { Effect } from "effect"
import { afterEach, beforeEach, expect, test } from "vitest"
import { layerHostFacts, linuxFacts } from "./host-facts.ts"

hostFactsContract({
  name: "node",
  open: () => ({ run: (effect) => Effect.runPromise(Effect.scoped(effect)), layer: layerHostFacts })
})

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "horizon-facts-"))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

/** Writes files as Linux shows them; a path that ends in a slash is a folder. */
const tree = (files: Readonly<Record<string, string>>): void => {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(path.endsWith("/") ? join(root, path) : dirname(join(root, path)), { recursive: true })
    if (!path.endsWith("/")) writeFileSync(join(root, path), `${content}\n`)
  }
}
const nic = (name: string, address: string, type: string | undefined, device: boolean) => ({
  [`sys/class/net/${name}/address`]: address,
  ...(type === undefined ? {} : { [`sys/class/net/${name}/addr_assign_type`]: type }),
  ...(device ? { [`sys/class/net/${name}/device/`]: "" } : {})
})

test("Linux: the system's number, the board's, and interfaces that have hardware and its own address", () => {
  tree({
    "etc/machine-id": "0123456789abcdef0123456789abcdef",
    "sys/class/dmi/id/product_uuid": "4c4c4544-0042-3510-8051-b9c04f4e4732",
    "sys/class/dmi/id/board_serial": "/BQ55NG2/",
    ...nic("eth0", "52:54:00:00:00:01", "0", true),
    ...nic("eth1", "52:54:00:00:00:02", undefined, true),
    ...nic("lo", "00:00:00:00:00:00", "0", false),
    ...nic("wlan0", "52:54:00:00:00:03", "3", true),
    ...nic("vf0", "52:54:00:00:00:04", "1", true),
    ...nic("docker0", "02:42:00:00:00:05", "0", false),
    ...nic("ib0", "00:00:00:00:00:00", "0", true)
  })
  writeFileSync(join(root, "sys/class/net/bonding_masters"), "\n")
  expect(linuxFacts(root)).toEqual([
    { kind: "machine-id", value: "0123456789abcdef0123456789abcdef" },
    { kind: "board", value: "4c4c4544-0042-3510-8051-b9c04f4e4732" },
    { kind: "board", value: "/BQ55NG2/" },
    { kind: "nic", value: "52:54:00:00:00:01" },
    { kind: "nic", value: "52:54:00:00:00:02" }
  ])
})

test("Linux: what is not there, not readable as what it should be, or the same on many boards is left out", () => {
  expect(linuxFacts(root)).toEqual([])
  tree({
    "etc/machine-id": "uninitialized",
    "sys/class/dmi/id/product_uuid": "00000000-0000-0000-0000-000000000000",
    "sys/class/dmi/id/board_serial": "To be filled by O.E.M.",
    "sys/class/net/eth0/device/": ""
  })
  expect(linuxFacts(root)).toEqual([])
})

test.each([
  "",
  "None",
  "N/A",
  "Default string",
  "Not Specified",
  "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
  "0123456789",
  "."
])('Linux: "%s" is no number of a board', (serial) => {
  tree({ "sys/class/dmi/id/board_serial": serial })
  expect(linuxFacts(root)).toEqual([])
})
