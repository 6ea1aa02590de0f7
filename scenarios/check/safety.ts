/** Safety checks: what must hold at every moment, whatever faults strike. */

import type { Check, CheckInput } from "./check.ts"
import { eventsOf } from "./check.ts"

/** No address is leased to two subjects at once (a restart of the gateway starts the count anew from its own record). */
export const oneHolderPerAddress: Check = {
  verdict: "safety",
  run: (input) => {
    const holders = new Map<string, { subject: string; event: number }>()
    const violations: Array<{ sentence: string; events: Array<number> }> = []
    let checked = 0
    for (const event of input.events) {
      if (event.kind === "lease.granted") {
        checked++
        const key = `${event.node} ${event.fields.address}`
        const holder = holders.get(key)
        if (holder !== undefined && holder.subject !== event.fields.subject) {
          violations.push({
            sentence: `${event.fields.address} was leased to ${event.fields.subject} while ${holder.subject} held it`,
            events: [holder.event, event.id]
          })
        }
        holders.set(key, { subject: event.fields.subject, event: event.id })
      } else if (event.kind === "lease.released") {
        holders.delete(`${event.node} ${event.fields.address}`)
      }
    }
    return { sentence: "no tunnel address has two holders", checked, violations }
  }
}

/** Invariants that the world watched while the run went on: nonces, replays, plaintext on the wire, … */
export const watchedInvariants: Check = {
  verdict: "safety",
  run: (input) => {
    const broken = eventsOf(input, "invariant.broken")
    return {
      sentence: `watched invariants hold: ${input.watched.map((count) => count.sentence).join("; ")}`,
      checked: input.watched.reduce((sum, count) => sum + count.checked, 0),
      violations: broken.map((event) => ({ sentence: event.fields.sentence, events: [event.id] }))
    }
  }
}

/** Players that keep to the rules are never corrected by the server. Params: `cheaters`, actor names that do not. */
export const honestNeverFlagged: Check = {
  verdict: "safety",
  run: (input, params) => {
    const cheaters: ReadonlyArray<string> = params.cheaters ?? []
    const names = new Map<string, string>()
    for (const event of eventsOf(input, "fact")) {
      if (event.fields.name.startsWith("player-subject:")) {
        names.set(event.fields.name.slice("player-subject:".length), String(event.fields.value))
      }
    }
    const joined = eventsOf(input, "game.player-joined")
    const actorOf = new Map(joined.map((event) => [event.fields.player, names.get(event.fields.subject) ?? "?"]))
    const flagged = eventsOf(input, "game.speed-corrected").filter(
      (event) => !cheaters.includes(actorOf.get(event.fields.player) ?? "?")
    )
    return {
      sentence: "no honest player is flagged for speed",
      checked: joined.length,
      violations: flagged.map((event) => ({
        sentence: `player ${event.fields.player} (${actorOf.get(event.fields.player)}) was corrected by ${event.fields.overMm} mm at tick ${event.fields.tick}`,
        events: [event.id]
      }))
    }
  }
}

/** Every player named in `cheaters` is caught. */
export const cheatersFlagged: Check = {
  verdict: "safety",
  run: (input, params) => {
    const cheaters: ReadonlyArray<string> = params.cheaters ?? []
    const flagged = eventsOf(input, "game.speed-corrected")
    return {
      sentence: "a player that moves faster than allowed is corrected",
      checked: cheaters.length,
      violations:
        flagged.length > 0 ? [] : [{ sentence: `nobody was corrected, yet ${cheaters.join(", ")} cheated`, events: [] }]
    }
  }
}

/** Nodes neither failed nor died but by a fault's hand. */
export const noNodeFailed: Check = {
  verdict: "safety",
  run: (input) => {
    const stopped = eventsOf(input, "node.stopped").filter((event) => event.fields.outcome === "failed")
    return {
      sentence: "no node stopped by itself",
      checked: eventsOf(input, "node.started").length,
      violations: stopped.map((event) => ({
        sentence: `${event.node} stopped: ${event.fields.cause}`,
        events: [event.id]
      }))
    }
  }
}

/**
 * A client's status does not lie: while it says `connected`, pings through the tunnel from its host succeed now and then.
 * Params: `graceMs`, how long it may still say so after the last success.
 */
export const statusTruthful: Check = {
  verdict: "safety",
  run: (input, params) => {
    const graceNs = (params.graceMs ?? 15_000) * 1e6
    const violations: Array<{ sentence: string; events: Array<number> }> = []
    let checked = 0
    for (const node of input.scenario.nodes.filter((spec) => spec.kind === "client")) {
      const actors = new Set(
        input.scenario.actors.filter((actor) => actor.host === node.host && actor.over === "tunnel").map((a) => a.name)
      )
      if (actors.size === 0) continue
      checked += countLies(input, node.name, actors, graceNs, violations)
    }
    return { sentence: "a client that says it is connected can be reached through the tunnel", checked, violations }
  }
}

const countLies = (
  input: CheckInput,
  client: string,
  actors: ReadonlySet<string>,
  graceNs: number,
  violations: Array<{ sentence: string; events: Array<number> }>
): number => {
  let connectedSinceNs = Number.POSITIVE_INFINITY
  let lastOkNs = 0
  let lostSinceOk = 0
  let checked = 0
  for (const event of input.events) {
    if (event.node === client && event.kind === "client.status") {
      connectedSinceNs =
        event.fields.state === "connected" ? Math.min(connectedSinceNs, event.atNs) : Number.POSITIVE_INFINITY
      lostSinceOk = 0
    } else if (event.kind === "node.stopped" && event.node === client) {
      connectedSinceNs = Number.POSITIVE_INFINITY
    } else if (event.kind === "op.done" && actors.has(event.fields.actor)) {
      checked++
      if (event.fields.outcome === "ok") {
        lastOkNs = event.atNs
        lostSinceOk = 0
      } else if (++lostSinceOk > 3 && event.fields.intendedNs - Math.max(lastOkNs, connectedSinceNs) > graceNs) {
        violations.push({
          sentence: `${client} says connected, yet nothing has passed for ${(event.atNs - lastOkNs) / 1e9} s`,
          events: [event.id]
        })
        lostSinceOk = 0
      }
    }
  }
  return checked
}
