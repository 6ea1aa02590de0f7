/** Why an interface could not be opened, from the system's code to what a person can do about it. */

import { TunError } from "@horizon/core/port/tun.ts"

/** `code` is the system's name of the error, such as EPERM. */
export const tunError = (code: string, name: string): TunError => {
  const what = `cannot open the network interface ${JSON.stringify(name)}`
  switch (code) {
    case "EPERM":
    case "EACCES":
      return new TunError({
        reason: "permission-denied",
        message: `${what}: this user may not; run as root, or grant CAP_NET_ADMIN (AmbientCapabilities= in a systemd unit, --cap-add NET_ADMIN for a container)`
      })
    case "ENOENT":
    case "ENODEV":
    case "ENXIO":
      return new TunError({
        reason: "unsupported",
        message: `${what}: there is no usable /dev/net/tun; load the driver (modprobe tun), or give the container its device (--device /dev/net/tun)`
      })
    case "EBUSY":
    case "EEXIST":
      return new TunError({
        reason: "name-in-use",
        message: `${what}: there is an interface of that name; stop the program that holds it, choose another name, or remove it (ip link delete ${name})`
      })
    case "EMFILE":
    case "ENFILE":
      return new TunError({
        reason: "unknown",
        message: `${what}: too many open files; raise the limit (ulimit -n, LimitNOFILE= in a systemd unit)`
      })
    default:
      return new TunError({ reason: "unknown", message: `${what}: the system refused it with ${code}` })
  }
}

/** The options themselves are wrong, whatever the system. */
export const badTun = (name: string, why: string): TunError =>
  new TunError({ reason: "unknown", message: `cannot open the network interface ${JSON.stringify(name)}: ${why}` })

/** There is no native module; `missing` says why and what to do. */
export const noTun = (name: string, missing: string): TunError =>
  new TunError({
    reason: "unsupported",
    message: `cannot open the network interface ${JSON.stringify(name)}: that takes Horizon's native module. It is missing: ${missing}`
  })
