/**
 * Moves bytes over one TCP connection. `serve PORT` says `{ bytes, ms, from }` of the first connection when it ends, `ms` from its first
 * byte to its last; `send ADDRESS PORT BYTES [PAUSE_MS]` sends, with a pause after the first half.
 */

import { connect, createServer } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"

const [mode, first, second, third, fourth] = process.argv.slice(2)
const say = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`)

if (mode === "serve") {
  const server = createServer((socket) => {
    let bytes = 0
    let startMs = 0
    socket.on("data", (chunk) => {
      if (bytes === 0) startMs = performance.now()
      bytes += chunk.length
    })
    socket.on("end", () => {
      say({ bytes, ms: performance.now() - startMs, from: socket.remoteAddress })
      socket.end()
      server.close()
    })
  })
  server.listen(Number(first), "0.0.0.0", () => say({ listening: true }))
} else {
  const half = Buffer.alloc(Number(third) / 2)
  const socket = connect(Number(second), first, async () => {
    socket.write(half)
    if (fourth !== undefined) await sleep(Number(fourth))
    socket.end(half)
  })
  // Some connections are meant to break.
  socket.on("error", () => process.exit(1))
}
