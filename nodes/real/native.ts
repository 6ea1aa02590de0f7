/** Whether this host's layers run on the native module, for whoever tells people. */

import { loadNative } from "@horizon/native/native.ts"

/** Why there is no native module and what to do about it, in one sentence; `undefined` = it is there. */
export const nativeMissing = (): string | undefined => {
  const loaded = loadNative()
  return "missing" in loaded ? loaded.missing : undefined
}
