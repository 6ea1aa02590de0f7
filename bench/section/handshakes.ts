/** Handshakes a second, on the server's side, with the cryptography of real nodes and with that of the simulator. */

import { nobleCrypto } from "@horizon/core/crypto/noble.ts"
import type { BenchEffort } from "@horizon/core/measure/bench.ts"
import { handshakesPerSecond } from "../micro/handshakes.ts"
import { hostIdleRatio } from "../net/host-idle.ts"
import { median } from "../net/median.ts"
import { realCrypto } from "../pipeline/real-crypto.ts"
import { figuresOf, roundsOf, type Section } from "./section.ts"

const SECONDS: Readonly<Record<BenchEffort, number>> = { record: 1.5, quick: 0.8, glance: 0.05 }

const CRYPTOS = [
  { name: "openssl", title: "OpenSSL, as real nodes", crypto: realCrypto },
  { name: "noble", title: "noble, as in the simulator", crypto: () => nobleCrypto }
]

export const handshakes: Section = {
  name: "handshakes",
  title: "Handshakes",
  summary:
    "Full handshakes a second that one core answers: cookie, X25519 key agreement, the server's signature, the ticket and the device's signature. Only the server's time counts.",
  estimateSeconds: (request) => CRYPTOS.length * roundsOf(request) * (SECONDS[request.effort] + 0.4),
  missing: () => undefined,
  measure: async (request) => {
    const rounds = roundsOf(request)
    const rates = CRYPTOS.map((): Array<number> => [])
    const idle: Array<number> = []
    for (let round = 0; round < rounds; round++) {
      idle.push(await hostIdleRatio())
      for (const [index, { crypto, title }] of CRYPTOS.entries()) {
        request.signal?.throwIfAborted()
        request.onProgress(`round ${round + 1} of ${rounds}: ${title}`)
        rates[index].push(handshakesPerSecond(crypto(), SECONDS[request.effort]))
      }
    }
    return {
      rounds,
      idleRatio: median(idle),
      tables: [
        {
          name: "rates",
          title: "Handshakes answered, one core",
          rowTitle: "cryptography",
          columns: [{ name: "rate", title: "answered", unit: "handshakes/s", better: "more", chart: true }],
          rows: CRYPTOS.map(({ name, title }, index) => ({
            name,
            title,
            kind: "ours",
            figures: figuresOf({ rate: rates[index] })
          }))
        }
      ],
      musts: []
    }
  }
}
