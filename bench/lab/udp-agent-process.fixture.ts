/** A process that opens UDP sockets, sends and says what it receives; each line of its input and output is one JSON value. */

import { createSocket, type Socket } from "node:dgram"
import { createInterface } from "node:readline"

interface Order {
  readonly port: number
  readonly to: string
  readonly toPort: number
  readonly text: string
}

const sockets = new Map<number, Socket>()
const say = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`)

const open = (port: number, ready: (socket: Socket) => void): void => {
  const known = sockets.get(port)
  if (known !== undefined) return ready(known)
  const socket = createSocket("udp4")
  sockets.set(port, socket)
  socket.on("message", (text, from) => say({ port, text: String(text), from: from.address, fromPort: from.port }))
  socket.on("error", (error) => say({ port, error: error.message }))
  socket.bind(port, () => ready(socket))
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { port, text, to, toPort } = JSON.parse(line) as Order
    open(port, (socket) => {
      if (to === "") say({ port, opened: true })
      else socket.send(text, toPort, to)
    })
  })
  .on("close", () => process.exit(0))
say({ ready: true })
