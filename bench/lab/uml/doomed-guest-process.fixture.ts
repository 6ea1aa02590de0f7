/** Boots a guest, says its process and waits to be killed. */

import { bootGuest } from "./guest.ts"

const guest = await bootGuest({ memoryMiB: 128, modules: [] })
process.stdout.write(`${guest.pid}\n`)
setInterval(() => {}, 1_000)
