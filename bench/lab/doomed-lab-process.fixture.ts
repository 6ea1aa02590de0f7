/** Builds a lab with a program in a host, one outside, and a folder, says so, and waits to be killed. */

import { spawn } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { makeTcDriver } from "./driver-tc.ts"
import { buildNetns } from "./netns.ts"
import { recordFolder, recordPid } from "./registry.ts"

const [id] = process.argv.slice(2)
const nat = { kind: "symmetric", outside: "internet", udpTimeoutMs: 30_000, hairpin: true } as const
const lab = await buildNetns(
  {
    subnets: { internet: { cidr: "198.51.100.0/24" }, home: { cidr: "192.168.1.0/24" } },
    hosts: { broker: { subnet: "internet" }, alice: { subnet: "home" } },
    routers: { router: { subnets: ["home", "internet"], nat } }
  },
  { id, driver: makeTcDriver, purpose: "to be killed" }
)
await lab.partition(["alice"], ["broker"], "both")
const [command, ...rest] = lab.enter("alice")
const inside = spawn(command, [...rest, "sleep", "600"], { stdio: "ignore", detached: true })
const outside = spawn("sleep", ["600"], { stdio: "ignore", detached: true })
recordPid(id, outside.pid!)
const folder = join(tmpdir(), `${id}-files`)
recordFolder(id, folder)
mkdirSync(folder)
writeFileSync(join(folder, "a"), "b")
process.stdout.write(`${JSON.stringify({ inside: inside.pid, outside: outside.pid, folder })}\n`)
setInterval(() => {}, 60_000)
