/** The log of a run: a page of lines at a time, filtered by text, node and kind. */

import type { LogData } from "../chart-data.ts"
import { count, moment } from "../figures.ts"

const LINES_EACH = 100

/** `hover` is told the time of the line under the pointer, or nothing. */
export const mountLog = (root: HTMLElement, data: LogData, hover: (seconds: number | null) => void): void => {
  const form = root.querySelector("form")!
  const body = root.querySelector("tbody")!
  const output = root.querySelector("output")!
  const position = root.querySelector(".pager span")!
  const buttons = [...root.querySelectorAll<HTMLButtonElement>(".pager button")]
  const [nodeChoice, kindChoice] = [...form.querySelectorAll("select")]
  fillChoice(nodeChoice, data.nodes)
  fillChoice(kindChoice, data.kinds)
  let lines = data.lines
  let page = 0
  let marked: number | undefined

  const draw = (): void => {
    const pages = Math.max(1, Math.ceil(lines.length / LINES_EACH))
    page = Math.min(Math.max(page, 0), pages - 1)
    body.replaceChildren(
      ...lines.slice(page * LINES_EACH, (page + 1) * LINES_EACH).map((line) => rowOf(line, data, line[0] === marked))
    )
    output.textContent =
      lines.length === data.lines.length
        ? `${count(lines.length)} lines`
        : `${count(lines.length)} of ${count(data.lines.length)} lines`
    position.textContent = `Page ${page + 1} of ${pages}`
    for (const button of buttons) {
      const back = button.dataset["page"] === "first" || button.dataset["page"] === "back"
      button.disabled = back ? page === 0 : page === pages - 1
    }
    root.querySelector(".pager")!.classList.toggle("single", pages === 1)
  }
  const filter = (): void => {
    const text = String(new FormData(form).get("text") ?? "")
      .trim()
      .toLowerCase()
    const node = nodeChoice.value === "" ? -1 : Number(nodeChoice.value)
    const kind = kindChoice.value === "" ? -1 : Number(kindChoice.value)
    lines = data.lines.filter(
      ([, , ofNode, ofKind, words]) =>
        (node < 0 || ofNode === node) &&
        (kind < 0 || ofKind === kind) &&
        (text === "" || `${data.nodes[ofNode]} ${data.kinds[ofKind]} ${words}`.toLowerCase().includes(text))
    )
    page = 0
    draw()
  }
  form.addEventListener("input", filter)
  form.addEventListener("submit", (event) => event.preventDefault())
  for (const button of buttons) {
    button.addEventListener("click", () => {
      page = { first: 0, back: page - 1, next: page + 1, last: Number.MAX_SAFE_INTEGER }[button.dataset["page"]!] ?? 0
      draw()
      root.querySelector(".scroll")!.scrollTop = 0
    })
  }
  body.addEventListener("pointerover", (event) => {
    const row = (event.target as Element).closest("tr")
    hover(row === null ? null : Number(row.dataset["seconds"]))
  })
  body.addEventListener("pointerleave", () => hover(null))
  for (const link of root.closest("section.run")!.querySelectorAll<HTMLAnchorElement>("a[data-event]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault()
      marked = Number(link.dataset["event"])
      form.reset()
      filter()
      page = Math.floor(lines.findIndex(([id]) => id === marked) / LINES_EACH)
      draw()
      const row = body.querySelector<HTMLElement>("tr.marked")
      row?.scrollIntoView({ block: "center" })
      row?.focus({ preventScroll: true })
    })
  }
  filter()
}

const fillChoice = (select: HTMLSelectElement, names: ReadonlyArray<string>): void => {
  const sorted = names.map((name, index) => ({ name, index })).sort((a, b) => (a.name < b.name ? -1 : 1))
  select.append(...sorted.map(({ name, index }) => new Option(name, String(index))))
}

const rowOf = (line: LogData["lines"][number], data: LogData, marked: boolean): HTMLTableRowElement => {
  const [id, atMs, node, kind, words] = line
  const row = document.createElement("tr")
  row.dataset["seconds"] = String(atMs / 1000)
  row.title = `event ${id}`
  if (marked) {
    row.className = "marked"
    row.tabIndex = -1
  }
  for (const [text, name] of [
    [moment(atMs), "figure"],
    [data.nodes[node], ""],
    [data.kinds[kind], "kind-cell"],
    [words, "words"]
  ]) {
    const cell = row.insertCell()
    cell.textContent = text
    cell.className = name
  }
  return row
}
