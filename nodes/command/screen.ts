/** Where a command writes and what it may assume about the reader: results to standard output, everything else to standard error. */

export interface Screen {
  /** One line of results, without its end. */
  readonly out: (line: string) => void
  /** One line for people. */
  readonly err: (line: string) => void
  /** Text as it is to standard error: for lines that are redrawn. */
  readonly draw: (text: string) => void
  /** Whether standard error is a terminal that can redraw a line. */
  readonly interactive: boolean
  /** Whether colours may be used on standard output, on standard error. */
  readonly colorOut: boolean
  readonly colorErr: boolean
  /** Width of the terminal, 80 if there is none. */
  readonly columns: number
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** A colour or weight, as its ANSI code. */
export type Paint = "bold" | "dim" | "red" | "green" | "yellow" | "cyan"

const CODES: Readonly<Record<Paint, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 }

/** `text` painted, if `color` says so. */
export const paint = (color: boolean, how: Paint, text: string): string =>
  color && text !== "" ? `\u001b[${CODES[how]}m${text}\u001b[0m` : text

/** Rows as aligned columns, two spaces between; numbers to the right if `right` names their column. Cells are plain text. */
export const table = (
  rows: ReadonlyArray<ReadonlyArray<string>>,
  options: {
    readonly right?: ReadonlyArray<number>
    readonly style?: (cell: string, row: number, column: number) => string
  } = {}
): ReadonlyArray<string> => {
  const widths: Array<number> = []
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length)
  return rows.map((row, index) =>
    row
      .map((cell, column) => {
        const gap = " ".repeat(widths[column] - cell.length)
        const styled = options.style?.(cell, index, column) ?? cell
        if (options.right?.includes(column) === true) return gap + styled
        return column === row.length - 1 ? styled : styled + gap
      })
      .join("  ")
      .trimEnd()
  )
}

/** Breaks text at spaces into lines of at most `width` characters; its own line ends, indented lines and [brackets] stay whole. */
export const wrap = (text: string, width: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const paragraph of text.split("\n")) {
    if (paragraph.startsWith(" ")) {
      lines.push(paragraph)
      continue
    }
    let line = ""
    const words = paragraph.replace(/\[[^\]]*\]/g, (bracket) => bracket.replaceAll(" ", HARD_SPACE)).split(" ")
    for (const word of words) {
      if (line !== "" && line.length + 1 + word.length > width) {
        lines.push(line)
        line = word
      } else line = line === "" ? word : `${line} ${word}`
    }
    lines.push(line)
  }
  return lines.map((line) => line.replaceAll(HARD_SPACE, " "))
}

const HARD_SPACE = "\u00a0"
