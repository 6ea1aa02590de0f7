/**
 * One trace of many processes. Each process writes its own events in the order of time, but their streams arrive one behind the other;
 * here they are brought into the order of the clock that all processes of a host share.
 */

import type { TraceEvent, TraceFields, TraceKind } from "@horizon/core/lab/trace.ts"
import { TraceLog } from "@horizon/core/lab/trace.ts"

/** A TraceLog in which an event goes where its time says. Streams lag by milliseconds, so that is near the end. */
export class MergedTrace extends TraceLog {
  private readonly merged: number

  constructor(eventsMax: number = 2_000_000) {
    super(eventsMax)
    this.merged = eventsMax
  }

  /** Puts an event where its time says; among events of one time, behind those that came first. Ids are given by `settle`. */
  override write<K extends TraceKind>(atNs: number, node: string, kind: K, fields: TraceFields[K]): void {
    const { events } = this
    if (events.length >= this.merged) {
      this.dropped++
      return
    }
    let place = events.length
    while (place > 0 && events[place - 1].atNs > atNs) place--
    const event = { id: events.length, atNs, node, kind, fields } as TraceEvent
    if (place === events.length) events.push(event)
    else events.splice(place, 0, event)
  }

  /** Numbers the events in their order, when no more will come. */
  settle(): void {
    const { events } = this
    for (let id = 0; id < events.length; id++) events[id] = { ...events[id], id }
  }
}
