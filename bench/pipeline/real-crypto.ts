/** The cryptography that real nodes have on this host, for measurements in this process. */

import type { Crypto as CryptoFunctions } from "@horizon/core/crypto/crypto.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { layerCrypto } from "@horizon/real/crypto.ts"
import { Effect } from "effect"

export const realCrypto = (): CryptoFunctions => Effect.runSync(Effect.provide(Crypto, layerCrypto))
