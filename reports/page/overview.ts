/** The table of all runs: sorted by its headings, filtered by verdict and text. */

export const mountOverview = (): void => {
  const overview = document.getElementById("overview")
  const table = overview?.querySelector("table")
  const form = overview?.querySelector("form")
  if (!table || !form) return
  sortable(table)
  filterable(form, [...table.tBodies[0].rows])
}

const sortable = (table: HTMLTableElement): void => {
  const heads = [...table.querySelectorAll("thead th")]
  const body = table.tBodies[0]
  heads.forEach((head, column) => {
    head.querySelector("button")?.addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending"
      for (const other of heads) other.setAttribute("aria-sort", "none")
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending")
      const keyed = [...body.rows].map((row) => ({ row, key: sortKey(row.cells[column]) }))
      keyed.sort((a, b) => compareKeys(a.key, b.key) * (ascending ? 1 : -1))
      body.append(...keyed.map(({ row }) => row))
    })
  })
}

const sortKey = (cell: HTMLTableCellElement): number | string => {
  const exact = cell.dataset["sort"]
  return exact === undefined ? (cell.textContent ?? "") : Number(exact)
}

const compareKeys = (a: number | string, b: number | string): number => (a < b ? -1 : a > b ? 1 : 0)

const filterable = (form: HTMLFormElement, rows: ReadonlyArray<HTMLTableRowElement>): void => {
  const output = form.querySelector("output")
  const texts = new Map(rows.map((row) => [row, (row.textContent ?? "").toLowerCase()]))
  const apply = (): void => {
    const wanted = new Set(new FormData(form).getAll("verdict"))
    const text = String(new FormData(form).get("text") ?? "")
      .trim()
      .toLowerCase()
    let shown = 0
    for (const row of rows) {
      const fits = wanted.has(row.dataset["verdict"] ?? "") && texts.get(row)!.includes(text)
      row.hidden = !fits
      if (fits) shown++
    }
    if (output !== null) output.textContent = `${shown} of ${rows.length} shown`
  }
  form.addEventListener("input", apply)
  form.addEventListener("submit", (event) => event.preventDefault())
  apply()
}
