import { cryptoContract } from "./crypto.contract.ts"
import { nobleCrypto } from "./noble.ts"

cryptoContract(nobleCrypto)
