/** Why a lab on this host could not be built or changed: what, where, what to do. Exit code 77 if something is missing here, else 6. */
export class LabError extends Error {
  readonly reason: "missing" | "failed"

  /** `missing`: this host lacks a tool, a right or a kernel feature, which the message names. */
  constructor(reason: LabError["reason"], message: string) {
    super(message)
    this.name = "LabError"
    this.reason = reason
  }
}
