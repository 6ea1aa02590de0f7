/**
 * The `HostFacts` port of a simulated host. Its parts have numbers that follow from its name, so every run and every restart finds
 * the same ones; whoever holds the `Hardware` can exchange some between two lives of a node.
 */

import { type HostFact, HostFacts, orderFacts } from "@horizon/core/port/host-facts.ts"
import { Effect, Layer } from "effect"
import { hashText } from "../kernel/digest.ts"

/** Network interfaces of a host. */
const NICS = 2

/** What one host is made of. */
export class Hardware {
  private readonly host: string
  /** How often the board, and each network interface, was exchanged. */
  private board = 0
  private readonly nics = new Array<number>(NICS).fill(0)

  constructor(host: string) {
    this.host = host
  }

  /** Another network interface in the place of number `nic`. */
  swapNic(nic = 0): void {
    this.nics[nic]++
  }

  /** The disk moves to another computer: all but the installed system's own number is new. */
  swapBoard(): void {
    this.board++
  }

  facts(): ReadonlyArray<HostFact> {
    const part = (what: string): string => `${this.host}/${this.board}/${what}`
    return orderFacts([
      { kind: "machine-id", value: number(`${this.host}/system`) },
      { kind: "board", value: number(part("board")) },
      { kind: "cpu", value: `simulated processor ${number(part("cpu"))}` },
      { kind: "memory", value: `${8 + 8 * this.board} GiB` },
      ...this.nics.map((swaps, nic): HostFact => ({ kind: "nic", value: mac(part(`nic${nic}/${swaps}`)) }))
    ])
  }
}

export const layerHostFacts = (hardware: Hardware): Layer.Layer<HostFacts> =>
  Layer.succeed(HostFacts)({ read: Effect.sync(() => hardware.facts()) })

const hex = (text: string): string => (hashText(text) >>> 0).toString(16).padStart(8, "0")

/** 32 hex digits of a text. */
const number = (text: string): string => [0, 1, 2, 3].map((i) => hex(`${text}/${i}`)).join("")

/** A locally administered address. */
const mac = (text: string): string => `02:00:${hex(text).match(/../g)?.join(":")}`
