/** Why a socket could not be bound, from the system's code to what a person can do about it. */

import { UdpError } from "@horizon/core/port/udp.ts"
import { type Endpoint, formatEndpoint } from "@horizon/core/wire/address.ts"

/** `code` is the system's name of the error, such as EADDRINUSE. */
export const udpError = (code: string | undefined, local: Endpoint): UdpError => {
  const where = `UDP ${formatEndpoint(local)}`
  switch (code) {
    case "EADDRINUSE":
      return new UdpError({
        reason: "address-in-use",
        message: `${where} is already in use; choose another port, or stop the process that holds it (ss -ulpn shows which)`
      })
    case "EADDRNOTAVAIL":
      return new UdpError({
        reason: "address-not-available",
        message: `${where} is not an address of this host; ip addr shows those that are`
      })
    case "EACCES":
    case "EPERM":
      return new UdpError({
        reason: "permission-denied",
        message: `${where} may not be bound by this user; choose a port above 1023 or grant CAP_NET_BIND_SERVICE`
      })
    case "EAFNOSUPPORT":
    case "EPROTONOSUPPORT":
      return new UdpError({ reason: "unsupported", message: `${where}: this host does not support the address family` })
    case "ENOTSUP":
      return new UdpError({
        reason: "unsupported",
        message: `${where} cannot be shared by several workers without Horizon's native module; run one worker`
      })
    default:
      return new UdpError({ reason: "unknown", message: `${where} could not be bound: ${code ?? "unknown error"}` })
  }
}

export const notAnAddress = (text: string): UdpError =>
  new UdpError({
    reason: "address-not-available",
    message: `cannot bind UDP to ${JSON.stringify(text)}: it is not an IPv4 or IPv6 address; give the address of an interface of this host`
  })
