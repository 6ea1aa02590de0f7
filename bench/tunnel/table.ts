/** The tunnel comparison as text: a row for each subject, and below what is missing, what failed, and why. */

import type { FigureSpec, TunnelComparison, TunnelSubject } from "./comparison.ts"

const HEADS: Readonly<Record<string, string>> = {
  tcp1Forward: "TCP 1 →",
  tcp1Backward: "TCP 1 ←",
  tcp4Forward: "TCP 4 →",
  tcp4Backward: "TCP 4 ←",
  rttIdleP50: "idle p50",
  rttIdleP99: "idle p99",
  rttLoadedP50: "load p50",
  rttLoadedP99: "load p99",
  cpuPerGigabyte: "CPU s/GB"
}

export const tunnelTable = (comparison: TunnelComparison): ReadonlyArray<string> => {
  const { figures, subjects, rounds, seconds, idleRatio, commit } = comparison
  const measured = subjects.filter((subject) => subject.missing === undefined)
  const head = ["subject", "MTU", ...figures.map((figure) => HEADS[figure.name] ?? udpHead(figure)), "TCP × C"]
  const rows = measured.map((subject) => [
    subject.title,
    subject.mtuBytes === undefined ? "" : String(subject.mtuBytes),
    ...figures.map((figure) => cell(subject.median[figure.name], figure)),
    ratio(subject.ratioToFloor["tcp1Forward"])
  ])
  return [
    `tunnels, medians of ${rounds} ${rounds === 1 ? "round" : "rounds"} of ${seconds} s · TCP in Gbit/s, UDP in 1,000 packets/s under 1 % loss, round trips in µs`,
    `commit ${commit} · host ${percent(idleRatio)} free before each round`,
    ...align([head, ...rows]),
    ...remarks(subjects)
  ]
}

const percent = (value: number): string => `${Math.round(value * 100)} %`

const udpHead = (figure: FigureSpec): string => figure.name.replace(/^udp/, "UDP ")

const cell = (value: number | undefined, { unit }: FigureSpec): string => {
  if (value === undefined) return "-"
  switch (unit) {
    case "bit/s":
      return (value / 1e9).toFixed(2)
    case "packets/s":
      return (value / 1e3).toFixed(1)
    case "µs":
      return value < 10 ? value.toFixed(1) : value.toFixed(0)
    case "CPU s/GB":
      return value.toFixed(2)
  }
}

const ratio = (value: number | undefined): string => (value === undefined ? "-" : value.toFixed(2))

const remarks = (subjects: ReadonlyArray<TunnelSubject>): ReadonlyArray<string> =>
  subjects.flatMap((subject) => [
    ...(subject.missing === undefined ? [] : [`missing: ${subject.title}: ${subject.missing}`]),
    ...(subject.version === undefined || subject.kind !== "peer" ? [] : [`${subject.title}: ${subject.version}`]),
    ...(subject.note === undefined ? [] : [`${subject.title}: ${subject.note}`]),
    ...subject.rounds.flatMap((round, index) =>
      Object.entries(round.failed).map(
        ([figure, why]) => `failed: ${subject.title}, round ${index + 1}, ${figure}: ${why}`
      )
    )
  ])

const align = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  return rows.map((row) =>
    row
      .map((text, column) => (column === 0 ? text.padEnd(widths[column]) : text.padStart(widths[column])))
      .join("  ")
      .trimEnd()
  )
}
