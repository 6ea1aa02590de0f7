import { batchContract } from "./batch.contract.ts"
import { inBatches } from "./batch.fixture.ts"
import { nobleCrypto } from "./noble.ts"

batchContract(inBatches(nobleCrypto))
