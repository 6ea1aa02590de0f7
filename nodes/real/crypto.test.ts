import { cryptoContract, sameBytes } from "@horizon/core/crypto/crypto.contract.ts"
import { nobleCrypto } from "@horizon/core/crypto/noble.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { Effect } from "effect"
import { expect, it } from "vitest"
import { layerCrypto, nodeCrypto } from "./crypto.ts"

cryptoContract(nodeCrypto)
sameBytes(nobleCrypto, nodeCrypto)

it("gives real nodes OpenSSL and nothing else", () => {
  const name = Effect.runSync(
    Effect.gen(function* () {
      return (yield* Crypto).name
    }).pipe(Effect.provide(layerCrypto))
  )
  expect(name).toBe("openssl")
})
