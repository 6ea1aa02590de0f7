import { inBatches } from "../../crypto/batch.fixture.ts"
import { nobleCrypto } from "../../crypto/noble.ts"
import { stubCrypto } from "../../crypto/stub.ts"
import { openAheadContract } from "./open-ahead.contract.ts"

openAheadContract(stubCrypto, inBatches(stubCrypto), 20)
openAheadContract(nobleCrypto, inBatches(nobleCrypto), 1)
