/** Port: the cryptography of core/crypto as a service, so that a world picks the implementation. */

import { Context } from "effect"
import type { Crypto as CryptoFunctions } from "../crypto/crypto.ts"

export class Crypto extends Context.Service<Crypto, CryptoFunctions>()("horizon/Crypto") {}
