/** The charts over time of one run: one cursor, one zoom and the same fault bands for all of them and the fault timeline. */

import type uPlotClass from "uplot"
import type { RunData, TimeChart } from "../chart-data.ts"
import { significant } from "../figures.ts"
import { Chart, colour } from "./chart.ts"

declare const uPlot: typeof uPlotClass

const TIME_HEIGHT_PX = 190

export class TimeGroup {
  private readonly charts: Array<Chart> = []
  private readonly timeline: HTMLElement | null
  private readonly data: RunData

  constructor(section: HTMLElement, data: RunData) {
    this.data = data
    this.timeline = section.querySelector<HTMLElement>(".timeline")
  }

  add(host: HTMLElement, chart: TimeChart): void {
    const { data } = this
    const added = new Chart({
      figure: host,
      unit: chart.unit,
      names: chart.series.map((series) => series.name),
      on: chart.series.map((series) => series.on),
      data: aligned(chart, data.seconds),
      heightPx: TIME_HEIGHT_PX,
      x: { values: (_, splits) => splits.map((at) => `${significant(at, 6)} s`) },
      logarithmic: false,
      rest: "largest",
      when: (at) => `at ${significant(at, 5)} s`,
      background: (plot) => drawBands(plot, data),
      onCursor: (x) => this.point(x, added),
      onZoom: (from, to) => this.zoom(from, to, added)
    })
    this.charts.push(added)
  }

  /** Shows a moment in all charts but the one that it comes from. */
  point(x: number | null, from?: Chart): void {
    for (const chart of this.charts) if (chart !== from) chart.follow(x)
    this.timeline?.style.setProperty("--cursor", String(x ?? -1e9))
  }

  private zoom(from: number, to: number, source: Chart): void {
    for (const chart of this.charts) {
      const { min, max } = chart.plot.scales["x"]
      if ((chart === source && min === from && max === to) || (min === from && max === to)) continue
      chart.zoom(from, to)
    }
    this.timeline?.style.setProperty("--t0", String(from))
    this.timeline?.style.setProperty("--t1", String(to))
  }
}

/** All series over one axis from the start to the end of the run; series that were sampled at other times keep their own. */
const aligned = (chart: TimeChart, seconds: number): uPlotClass.AlignedData => {
  const tables = chart.times.map((times, index) => [
    [...times],
    ...chart.series.filter((series) => series.time === index).map((series) => [...series.values])
  ])
  const joined = uPlot.join([[[0, seconds]], ...tables] as unknown as Array<uPlotClass.AlignedData>)
  // Joining orders series by table; put them back into the chart's order.
  const order = chart.times.flatMap((_, table) =>
    chart.series.flatMap((series, index) => (series.time === table ? [index] : []))
  )
  const columns: Array<unknown> = [joined[0]]
  order.forEach((index, position) => {
    columns[index + 1] = joined[position + 1]
  })
  return columns as uPlotClass.AlignedData
}

const drawBands = (plot: uPlotClass, { bands, livenessFrom }: RunData): void => {
  const { ctx, bbox } = plot
  const ratio = devicePixelRatio
  ctx.save()
  ctx.beginPath()
  ctx.rect(bbox.left, 0, bbox.width, bbox.top + bbox.height)
  ctx.clip()
  ctx.font = `600 ${10.5 * ratio}px system-ui, sans-serif`
  ctx.textBaseline = "top"
  let free = Number.NEGATIVE_INFINITY
  for (const band of [...bands].sort((a, b) => a.from - b.from)) {
    const from = plot.valToPos(band.from, "x", true)
    const to = plot.valToPos(band.to, "x", true)
    ctx.fillStyle = colour("--band")
    if (band.to > band.from) ctx.fillRect(from, bbox.top, to - from, bbox.height)
    ctx.fillStyle = colour("--band-edge")
    ctx.fillRect(from, bbox.top, ratio, bbox.height)
    // Labels of faults that follow closely would run into each other: the later one is left out, its band is still there.
    if (from < free) continue
    ctx.fillStyle = colour("--band-text")
    ctx.fillText(band.label, from + 1, 1 * ratio)
    free = from + ctx.measureText(band.label).width + 6 * ratio
  }
  if (livenessFrom !== null) {
    const at = plot.valToPos(livenessFrom, "x", true)
    ctx.strokeStyle = colour("--quiet")
    ctx.setLineDash([3 * ratio, 3 * ratio])
    ctx.beginPath()
    ctx.moveTo(at, bbox.top)
    ctx.lineTo(at, bbox.top + bbox.height)
    ctx.stroke()
  }
  ctx.restore()
}
