/** The watch over all interfaces of a lab on which datagrams of nodes begin or end, and what it comes to. */

import type { InvariantCount } from "@horizon/core/lab/trace.ts"
import type { LabNetwork } from "../lab-network.ts"
import { Capture } from "./capture.ts"
import type { WireFinding } from "./wire-watch.ts"

const SENTENCES = {
  "nonce-reuse": "no two datagrams on the wire are sealed with one nonce under one key",
  "plaintext-leak": "nothing said inside a tunnel is readable on the network"
} as const

export class Wire {
  private readonly captures: ReadonlyArray<Capture>
  /** Why a capture never began, by host. */
  private readonly absent = new Map<Capture, string>()

  constructor(network: LabNetwork, hosts: ReadonlyArray<string>, onFinding: (finding: WireFinding) => void) {
    this.captures = hosts.map(
      (host) =>
        new Capture({
          host,
          address: network.addressOf(host),
          device: network.deviceOf(host),
          enter: network.enter(host),
          onFinding
        })
    )
  }

  /** Resolves when every interface is watched, or will not be: what is not watched is said by `watched`, never passed over. */
  async listening(): Promise<void> {
    await Promise.all(
      this.captures.map((capture) =>
        capture.listening.catch((cause: Error) => {
          this.absent.set(capture, cause.message)
        })
      )
    )
  }

  /** What was watched so far. */
  watched(): ReadonlyArray<InvariantCount> {
    const note = this.note()
    const sum = (count: (capture: Capture) => number): number =>
      this.captures.reduce((total, capture) => total + count(capture), 0)
    return [
      {
        id: "nonce-reuse",
        sentence: SENTENCES["nonce-reuse"] + note,
        checked: sum(({ watch }) => watch.sealed),
        broken: sum(({ watch }) => watch.nonceReuses)
      },
      {
        id: "plaintext-leak",
        sentence: SENTENCES["plaintext-leak"] + note,
        checked: sum(({ watch }) => watch.frames),
        broken: sum(({ watch }) => watch.leaks)
      }
    ]
  }

  /** Frames that were seen. */
  frames(): number {
    return this.captures.reduce((total, { watch }) => total + watch.frames, 0)
  }

  /** Ends the watch; everything that has passed is judged by then. */
  async stop(): Promise<void> {
    await Promise.all(this.captures.map((capture) => capture.stop()))
  }

  kill(): void {
    for (const capture of this.captures) capture.kill()
  }

  /** What was not watched, to stand behind a sentence; empty if that is nothing. */
  private note(): string {
    const broken = this.captures.flatMap((capture) => this.absent.get(capture) ?? capture.broken ?? [])
    const missed = this.captures.reduce((total, capture) => total + capture.missed() + capture.watch.unjudged, 0)
    const notes = [
      ...(broken.length === 0
        ? []
        : [`NOT WATCHED on ${broken.length} of ${this.captures.length} interfaces: ${broken[0]}`]),
      ...(missed === 0 ? [] : [`${missed} packets were not seen`])
    ]
    return notes.length === 0 ? "" : ` (${notes.join("; ")})`
  }
}
