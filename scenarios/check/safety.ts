/** Safety checks: what must hold at every moment, whatever faults strike. */

import type { Check } from "./check.ts"
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
        names.set(String(event.fields.value), event.fields.name.slice("player-subject:".length))
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
 * A client's status does not lie: while two members of one network both say `connected`, pings between them get through now and
 * then. Params: `graceMs`, how long both may say so after the last success.
 */
export const statusTruthful: Check = {
  verdict: "safety",
  run: (input, params) => {
    const graceNs = (params.graceMs ?? 15_000) * 1e6
    const clientOn = new Map(
      input.scenario.nodes.filter((node) => node.kind === "client").map((node) => [node.host, node.name])
    )
    const hostOf = new Map(input.scenario.actors.map((actor) => [actor.name, actor.host]))
    /** What each client said last, also while it stands still and so says nothing. */
    const states = new Map<string, string>()
    /** Since when each client says that it is connected. */
    const since = new Map<string, number>()
    /** Per pair of hosts: the last success, or the moment from which there should be one. */
    const lastGood = new Map<string, number>()
    const violations: Array<{ sentence: string; events: ReadonlyArray<number> }> = []
    let checked = 0
    for (const event of input.events) {
      if (event.kind === "client.status") {
        states.set(event.node, event.fields.state)
        if (event.fields.state !== "connected") since.delete(event.node)
        else if (!since.has(event.node)) since.set(event.node, event.atNs)
      } else if (event.kind === "node.stopped" || event.kind === "node.paused") {
        if (event.kind === "node.stopped") states.delete(event.node)
        since.delete(event.node)
      } else if (event.kind === "node.resumed" && states.get(event.node) === "connected") {
        since.set(event.node, event.atNs)
      } else if (event.kind === "op.done" && event.fields.op === "tunnel-ping") {
        const from = hostOf.get(event.fields.actor) ?? ""
        const pair = `${from} ${event.fields.to}`
        const [a, b] = [since.get(clientOn.get(from) ?? ""), since.get(clientOn.get(event.fields.to) ?? "")]
        if (a === undefined || b === undefined || event.fields.outcome !== "lost") {
          lastGood.set(pair, event.atNs)
          continue
        }
        checked++
        const goodNs = Math.max(lastGood.get(pair) ?? 0, a, b)
        if (event.atNs - goodNs <= graceNs) continue
        lastGood.set(pair, event.atNs)
        violations.push({
          sentence: `${from} and ${event.fields.to} both say connected, yet nothing has passed for ${Math.round((event.atNs - goodNs) / 1e9)} s`,
          events: [event.id]
        })
      }
    }
    return {
      sentence: "members that say they are connected reach each other",
      checked: Math.max(checked, since.size),
      violations
    }
  }
}

/** What players see is what the server meant: the views they acknowledge hash the same on both sides. */
export const viewsAgree: Check = {
  verdict: "safety",
  run: (input) => {
    const last = new Map<string, { id: number; value: number }>()
    for (const event of eventsOf(input, "sample")) {
      if (event.fields.name.startsWith("game.views-")) {
        last.set(`${event.node} ${event.fields.name}`, { id: event.id, value: event.fields.value })
      }
    }
    const sum = (name: string): number =>
      [...last].filter(([key]) => key.endsWith(` ${name}`)).reduce((total, [, { value }]) => total + value, 0)
    const unequal = sum("game.views-unequal")
    return {
      sentence: "every player's view equals the server's at each acknowledged snapshot",
      checked: sum("game.views-compared"),
      violations: unequal === 0 ? [] : [{ sentence: `${unequal} acknowledged views differed`, events: [] }]
    }
  }
}
