/** Help as text, from the document that the command line derives of a command. */

import type { HelpDoc } from "effect/cli/HelpDoc"
import * as Option from "effect/Option"
import { paint, wrap } from "./screen.ts"

const WIDTH_MAX = 110
/** Names wider than this get a line of their own. */
const LEFT_MAX = 34

interface Row {
  readonly left: string
  readonly right: string
}

/** The help of one command for a terminal of `columns`. */
export const formatHelp = (doc: HelpDoc, columns: number, color: boolean): string => {
  const width = Math.max(60, Math.min(columns, WIDTH_MAX))
  const lines: Array<string> = []
  const section = (title: string, body: ReadonlyArray<string>): void => {
    if (body.length > 0) lines.push(paint(color, "bold", title), ...body, "")
  }
  lines.push(...wrap(doc.description, width), "")
  section("USAGE", [`  ${doc.usage}`])
  section("ARGUMENTS", rows(doc.args?.map(argumentRow) ?? [], width, color))
  section("COMMANDS", rows(doc.subcommands?.flatMap((group) => group.commands.map(commandRow)) ?? [], width, color))
  section("FLAGS", rows(doc.flags.map(flagRow), width, color))
  section("GLOBAL FLAGS", rows(doc.globalFlags?.map(flagRow) ?? [], width, color))
  section(
    "EXAMPLES",
    doc.examples?.flatMap(({ command, description }) => [
      ...(description === undefined ? [] : [`  ${paint(color, "dim", `# ${description}`)}`]),
      `  ${paint(color, "cyan", command)}`
    ]) ?? []
  )
  return lines.join("\n").trimEnd()
}

const argumentRow = (argument: NonNullable<HelpDoc["args"]>[number]): Row => ({
  left: argument.variadic ? `${argument.name}…` : argument.name,
  right: Option.getOrElse(argument.description, () => "")
})

const commandRow = (command: { name: string; shortDescription: string | undefined; description: string }): Row => ({
  left: command.name,
  right: command.shortDescription ?? command.description
})

const flagRow = (flag: HelpDoc["flags"][number]): Row => ({
  left: [`--${flag.name}`, ...flag.aliases].join(", ") + (flag.type === "boolean" ? "" : ` ${flag.type}`),
  right: Option.getOrElse(flag.description, () => "")
})

const rows = (entries: ReadonlyArray<Row>, width: number, color: boolean): ReadonlyArray<string> => {
  const left = Math.min(LEFT_MAX, Math.max(0, ...entries.map((entry) => entry.left.length)))
  return entries.flatMap((entry) => {
    const text = wrap(entry.right, width - left - 4)
    const name = paint(color, "green", entry.left)
    const indent = " ".repeat(left + 4)
    if (entry.left.length > left) return [`  ${name}`, ...text.map((line) => indent + line)]
    return [
      `  ${name}${" ".repeat(left - entry.left.length + 2)}${text[0]}`,
      ...text.slice(1).map((line) => indent + line)
    ]
  })
}
