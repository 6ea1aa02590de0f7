/** One TCP transfer between two hosts of a lab. */

import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import type { LabNetwork } from "./lab-network.ts"

export interface Transfer {
  readonly bytes: number
  /** From the first byte received to the last. */
  readonly ms: number
  /** Address of the sender as the receiver sees it. */
  readonly from: string
}

const PORT = 7000
const PAUSE_MS = 200

/** Sends bytes from one host to another; `halfway` is called while the sender pauses after the first half. */
export const transfer = async (
  lab: LabNetwork,
  from: string,
  to: string,
  bytes: number,
  halfway?: () => Promise<void>
): Promise<Transfer> => {
  const server = start(lab, to, ["serve", `${PORT}`])
  const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]()
  await lines.next()
  const pause = halfway === undefined ? [] : [`${PAUSE_MS}`]
  const client = start(lab, from, ["send", lab.addressOf(to), `${PORT}`, `${bytes}`, ...pause])
  try {
    if (halfway !== undefined) {
      // Time to start and to send the first half.
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
      await halfway()
    }
    const { value } = await lines.next()
    return JSON.parse(value as string) as Transfer
  } finally {
    server.kill("SIGKILL")
    client.kill("SIGKILL")
  }
}

const start = (lab: LabNetwork, host: string, args: ReadonlyArray<string>) => {
  const [command, ...rest] = lab.enter(host)
  const program = fileURLToPath(new URL("./transfer-process.fixture.ts", import.meta.url))
  return spawn(command, [...rest, process.execPath, program, ...args], { stdio: ["ignore", "pipe", "inherit"] })
}
