/** Raised by `assert`: a bug in Horizon, never the effect of bad input. The node stops; its supervisor restarts it. */
export class AssertionError extends Error {
  override readonly name = "AssertionError"
}

/** States a fact that the code around it relies on. Kept on in production; `sentence` says what should have held. */
export function assert(condition: boolean, sentence: string): asserts condition {
  if (!condition) throw new AssertionError(sentence)
}
