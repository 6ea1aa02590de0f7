/** The legend of a chart: which lines are drawn, in which colour, and their values under the cursor. */

/** Colours of the palette (report.css); lines beyond them repeat the colours, dashed. */
export const COLOURS = 8

/** From so many series on, a legend can be searched. */
const SEARCH_FROM = 9

export interface LegendItem {
  readonly name: string
  on: boolean
  /** Place in the palette while on. */
  slot: number
}

export interface LegendEvents {
  readonly change: () => void
  /** Series under the pointer, to be emphasised. */
  readonly emphasise: (index: number | null) => void
}

export class Legend {
  readonly items: ReadonlyArray<LegendItem>
  private readonly rows: Array<HTMLButtonElement> = []
  private readonly head = document.createElement("span")
  private readonly events: LegendEvents

  constructor(root: HTMLElement, names: ReadonlyArray<string>, on: ReadonlyArray<boolean>, events: LegendEvents) {
    this.events = events
    this.items = names.map((name) => ({ name, on: false, slot: 0 }))
    on.forEach((wanted, index) => {
      if (wanted) this.turn(index, true)
    })
    const list = document.createElement("div")
    list.className = "legend-rows"
    list.append(...this.items.map((item, index) => this.row(item, index)))
    root.append(this.tools(root, on), list)
    this.paint()
  }

  /** Shows a value for each line; `when` says of which moment. */
  values(when: string, texts: ReadonlyArray<string>): void {
    this.head.textContent = when
    this.rows.forEach((row, index) => {
      row.lastElementChild!.textContent = texts[index]
    })
  }

  private turn(index: number, on: boolean): void {
    const item = this.items[index]
    if (item.on === on) return
    const used = new Set(this.items.filter((other) => other.on).map((other) => other.slot))
    let slot = 0
    while (used.has(slot)) slot++
    item.on = on
    item.slot = on ? slot : 0
  }

  private row(item: LegendItem, index: number): HTMLElement {
    const button = document.createElement("button")
    button.type = "button"
    button.title = item.name
    const swatch = document.createElement("i")
    const name = document.createElement("span")
    name.textContent = item.name
    button.append(swatch, name, document.createElement("output"))
    button.addEventListener("click", () => {
      this.turn(index, !item.on)
      this.changed()
    })
    button.addEventListener("dblclick", () => {
      this.choose((other) => other === index)
    })
    button.addEventListener("pointerenter", () => this.events.emphasise(index))
    button.addEventListener("pointerleave", () => this.events.emphasise(null))
    this.rows.push(button)
    return button
  }

  /** Line above the rows: whose values they show, and for long legends a search and switches for all. */
  private tools(root: HTMLElement, first: ReadonlyArray<boolean>): HTMLElement {
    const tools = document.createElement("div")
    tools.className = "legend-tools"
    if (this.items.length >= SEARCH_FROM) {
      const search = document.createElement("input")
      search.type = "search"
      search.placeholder = `Find in ${this.items.length}`
      search.setAttribute("aria-label", "Find series")
      search.addEventListener("input", () => {
        const text = search.value.trim().toLowerCase()
        this.items.forEach((item, index) => {
          this.rows[index].hidden = !item.name.toLowerCase().includes(text)
        })
      })
      const button = (words: string, wanted: (index: number) => boolean): HTMLButtonElement => {
        const made = document.createElement("button")
        made.type = "button"
        made.textContent = words
        made.addEventListener("click", () => this.choose(wanted))
        return made
      }
      tools.append(
        search,
        button("Top", (index) => first[index]),
        button("None", () => false)
      )
    }
    this.head.className = "legend-when"
    root.append(this.head)
    return tools
  }

  /** Switches on exactly the wanted lines. */
  private choose(wanted: (index: number) => boolean): void {
    for (let index = 0; index < this.items.length; index++) this.turn(index, wanted(index))
    this.changed()
  }

  private changed(): void {
    this.paint()
    this.events.change()
  }

  private paint(): void {
    this.rows.forEach((row, index) => {
      const { on, slot } = this.items[index]
      row.setAttribute("aria-pressed", String(on))
      row.style.setProperty("--series", on ? `var(--s${(slot % COLOURS) + 1})` : "transparent")
      row.classList.toggle("dashed", slot >= COLOURS)
    })
  }
}
