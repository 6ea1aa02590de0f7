/**
 * Port HostFacts on Node. Linux tells what it knows in `/etc/machine-id` and under `/sys/class`, the board's numbers to root only;
 * of other systems there is what Node knows.
 *
 * Only what stays is taken: of network interfaces those with hardware behind them, which containers, bridges and tunnels do not
 * have, and of their addresses those that the hardware came with, because Wi-Fi may show another one every day.
 */

import { readdirSync, readFileSync, statSync } from "node:fs"
import { cpus, networkInterfaces, totalmem } from "node:os"
import { join } from "node:path"
import { type HostFact, type HostFactKind, HostFacts, orderFacts } from "@horizon/core/port/host-facts.ts"
import { Effect, Layer } from "effect"

/** The facts of this host. */
export const layerHostFacts: Layer.Layer<HostFacts> = Layer.succeed(HostFacts)({
  read: Effect.sync(() => orderFacts([...sizes(), ...(process.platform === "linux" ? linuxFacts("/") : otherNics())]))
})

/** Processor and memory, as Node tells them everywhere. Whole GiB, because kernels keep more or less for themselves. */
const sizes = (): ReadonlyArray<HostFact> => {
  const processors = ifReadable(cpus, [])
  return [
    ...processors.slice(0, 1).map(({ model }) => fact("cpu", `${model.trim()}, ${processors.length}`)),
    fact("memory", `${Math.round(totalmem() / 2 ** 30)} GiB`)
  ]
}

/** What Linux tells in files, below `root`. */
export const linuxFacts = (root: string): ReadonlyArray<HostFact> => {
  const machineId = line(join(root, "etc/machine-id"))
  const board = ["product_uuid", "board_serial"].map((file) => line(join(root, "sys/class/dmi/id", file)))
  return [
    // A system that was never started has another word there.
    ...(/^[0-9a-f]{32}$/.test(machineId) ? [fact("machine-id", machineId)] : []),
    ...board.filter((value) => !PLACEHOLDER.test(value)).map((value) => fact("board", value)),
    ...linuxNics(join(root, "sys/class/net")).map((address) => fact("nic", address))
  ]
}

/** What makers write who have no number to give: it is the same on many boards. */
const PLACEHOLDER =
  /^([0.\s-]*|[f-]*|none|n\/?a|unknown|default string|not (applicable|available|specified)|to be filled by o\.?e\.?m\.?|(system|board|base board) serial number|0?123456789)$/i

/** `NET_ADDR_PERM` of Linux: the address is the hardware's own, neither drawn nor set by somebody. */
const ADDRESS_PERMANENT = "0"

const linuxNics = (folder: string): ReadonlyArray<string> =>
  ifReadable(() => readdirSync(folder), [])
    .filter((name) => ifReadable(() => statSync(join(folder, name, "device")).isDirectory(), false))
    .filter((name) => ["", ADDRESS_PERMANENT].includes(line(join(folder, name, "addr_assign_type"))))
    .map((name) => line(join(folder, name, "address")))
    .filter((address) => !NO_ADDRESS.test(address))

/** Elsewhere nothing says what is hardware: addresses that makers have assigned have the second bit of the first byte clear. */
const otherNics = (): ReadonlyArray<HostFact> =>
  Object.values(ifReadable(networkInterfaces, {}))
    .flatMap((addresses) => addresses ?? [])
    .filter(
      ({ internal, mac }) => !internal && !NO_ADDRESS.test(mac) && (Number.parseInt(mac.slice(0, 2), 16) & 2) === 0
    )
    .map(({ mac }) => fact("nic", mac))

const NO_ADDRESS = /^[0:]*$/

const fact = (kind: HostFactKind, value: string): HostFact => ({ kind, value })

/** A file of one line; empty if it cannot be read. */
const line = (path: string): string => ifReadable(() => readFileSync(path, "utf8").trim(), "")

const ifReadable = <A>(read: () => A, otherwise: A): A => {
  try {
    return read()
  } catch {
    // Not there on this host, or not for this user: the fact is left out.
    return otherwise
  }
}
