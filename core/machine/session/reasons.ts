/** Close reasons in words: what happened and what a person can do about it. Shown by the client, the logs and the reports. */

import type { CloseReason } from "./session.ts"

/** Two sentences on a close reason; a number this version does not know is named as such. */
export const describeClose = (reason: CloseReason | number): string =>
  SENTENCES[reason as CloseReason] ??
  `The session was closed for reason ${reason}, which this version does not know. Update Horizon on this side.`

const SENTENCES: Readonly<Record<CloseReason, string>> = {
  0: "The session was closed by one of its ends. Nothing needs to be done.",
  1: "Nothing was heard from the other end for 10 seconds. Check the network between the two; the client connects again by itself.",
  2: "The ticket is malformed or not signed by the broker that this server trusts. Get a new ticket from the broker; if it happens again, check that client and server use the same broker.",
  3: "The ticket has expired. Get a new ticket from the broker; if a new one is refused too, check the clocks of server and broker.",
  4: "The ticket is for another server. Get a ticket for this server from the broker.",
  5: "The device could not prove that it holds the key that the ticket names. Get a ticket with this device's own key; never copy a ticket to another device.",
  6: "Client and server have no protocol version or cipher suite in common. Update the older of the two.",
  7: "The server did not prove the identity that the broker recorded for it. Do not connect: refresh the server list, and if it stays, tell whoever runs the server.",
  8: "The server has no free session slot or address. Try again later or choose another server.",
  9: "The server is stopping. Connect again in a moment or choose another server.",
  10: "The same device has connected anew and this older session was replaced. If that was not you, two programs use one device key: give each its own.",
  11: "The handshake was not completed in time. Check that the server's address and UDP port are reachable.",
  12: "The session reached the limit of packets that its keys may protect. Connect again.",
  13: "The server does not allow this device: its ticket lacks the needed right or belongs to another tenant. Ask the network's administrator.",
  14: "The ticket is dated in the future. Check the clocks of server and broker; they may differ by 5 seconds."
}
