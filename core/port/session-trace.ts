/** What the trace says of a session: the same words at both of its ends, in every node. */

import { describeClose } from "../machine/session/reasons.ts"
import type { SessionEvent } from "../machine/session/session.ts"
import { formatEndpoint } from "../wire/address.ts"
import type { TraceWriter } from "./trace.ts"

/** Writes an event of a session endpoint into the trace. */
export const traceSession = (trace: TraceWriter, role: "server" | "client", event: SessionEvent): void => {
  switch (event.kind) {
    case "established":
      return trace("session.established", {
        role,
        connectionId: event.connectionId,
        peer: formatEndpoint(event.peer),
        subject: event.subject.deviceId
      })
    case "refused":
      return trace("session.refused", { role, peer: formatEndpoint(event.peer), reason: describeClose(event.reason) })
    case "closed":
      return trace("session.closed", {
        role,
        connectionId: event.connectionId,
        reason: describeClose(event.reason)
      })
    case "roamed":
      return trace("session.roamed", {
        connectionId: event.connectionId,
        from: formatEndpoint(event.from),
        to: formatEndpoint(event.to)
      })
  }
}
