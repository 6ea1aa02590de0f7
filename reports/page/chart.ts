/** One uPlot chart with our axes, colours, legend and keyboard. */

import type uPlotClass from "uplot"
import { type Scale, scaleFor, significant } from "../figures.ts"
import { COLOURS, Legend } from "./legend.ts"
import { onThemeChange } from "./theme.ts"

declare const uPlot: typeof uPlotClass

/** Width of the value axis and of the margin on the right; the fault timeline (report.css) has the same. */
const AXIS_PX = 56
const RIGHT_PX = 12
const FONT = '11.5px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'

export interface ChartSetup {
  readonly figure: HTMLElement
  readonly unit: string
  readonly names: ReadonlyArray<string>
  readonly on: ReadonlyArray<boolean>
  readonly data: uPlotClass.AlignedData
  readonly heightPx: number
  readonly x: Partial<uPlotClass.Axis>
  readonly logarithmic: boolean
  /** Margin on the right, if the last mark of the axis needs more than usual. */
  readonly rightPx?: number
  /** What the values in the legend are while there is no cursor: the largest of each line. */
  readonly rest: string
  /** Words for a position on the x axis. */
  readonly when: (x: number) => string
  /** Drawn under the lines. */
  readonly background?: (plot: uPlotClass) => void
  /** The cursor moved to this x, or left. */
  readonly onCursor?: (x: number | null) => void
  readonly onZoom?: (from: number, to: number) => void
}

/** What a colour of the palette is in the present theme, in a form that a canvas takes. */
export const colour = (name: string): string => {
  const known = colours.get(name)
  if (known !== undefined) return known
  probe.style.color = `var(${name})`
  const found = getComputedStyle(probe).color
  colours.set(name, found)
  return found
}

const colours = new Map<string, string>()
const probe = document.createElement("i")
probe.hidden = true
document.body.append(probe)
// Registered before any chart, so that a chart that repaints asks for the new colours.
onThemeChange(() => colours.clear())

export class Chart {
  readonly plot: uPlotClass
  private readonly setup: ChartSetup
  private readonly legend: Legend
  private readonly scale: Scale
  /** While this chart only follows another, it tells nobody. */
  private following = false
  private readonly range: readonly [number, number]

  constructor(setup: ChartSetup) {
    this.setup = setup
    const { figure, data, unit } = setup
    const host = figure.querySelector<HTMLElement>(".plot")!
    const xs = data[0]
    this.range = [xs[0], xs[xs.length - 1]]
    this.scale = scaleFor(unit, this.largest())
    figure.querySelector(".unit")!.textContent = this.scale.unit
    this.legend = new Legend(figure.querySelector<HTMLElement>(".legend")!, setup.names, setup.on, {
      change: () => this.applyLegend(),
      emphasise: (index) => this.plot.setSeries(index === null ? null : index + 1, { focus: true })
    })
    this.plot = new uPlot(this.options(host), scaled(data, this.scale.factor), host)
    this.showValues()
    this.listen(host)
  }

  /** Puts the cursor where another chart has it. */
  follow(x: number | null): void {
    this.following = true
    this.plot.setCursor({ left: x === null ? -10 : this.plot.valToPos(x, "x"), top: 10 })
    this.following = false
  }

  zoom(from: number, to: number): void {
    this.following = true
    this.plot.setScale("x", { min: from, max: to })
    this.following = false
  }

  private listen(host: HTMLElement): void {
    new ResizeObserver(() => {
      if (host.clientWidth > 0) this.plot.setSize({ width: host.clientWidth, height: this.setup.heightPx })
    }).observe(host)
    onThemeChange(() => this.plot.redraw(false, true))
    host.addEventListener("keydown", (event) => {
      const xs = this.plot.data[0]
      const at = this.plot.cursor.idx ?? -1
      if (event.key === "Escape") this.setup.onZoom?.(this.range[0], this.range[1])
      else if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return
      else {
        const next = Math.min(Math.max(at + (event.key === "ArrowRight" ? 1 : -1), 0), xs.length - 1)
        this.plot.setCursor({ left: this.plot.valToPos(xs[next], "x"), top: 10 })
      }
      event.preventDefault()
    })
    host.addEventListener("dblclick", () => this.setup.onZoom?.(this.range[0], this.range[1]))
  }

  private options(host: HTMLElement): uPlotClass.Options {
    const { setup } = this
    const axis: Partial<uPlotClass.Axis> = {
      stroke: () => colour("--quiet"),
      grid: { stroke: () => colour("--grid"), width: 1 },
      ticks: { show: false },
      font: FONT,
      gap: 6
    }
    return {
      width: Math.max(host.clientWidth, 100),
      height: setup.heightPx,
      padding: [14, setup.rightPx ?? RIGHT_PX, 0, 0],
      legend: { show: false },
      focus: { alpha: 0.25 },
      cursor: {
        y: false,
        drag: { x: setup.onZoom !== undefined, y: false, setScale: setup.onZoom !== undefined },
        points: { size: 7 },
        focus: { prox: -1 }
      },
      scales: {
        x: { time: false, range: (_, from, to) => [from, to] },
        y: setup.logarithmic
          ? { distr: 3, range: logRange }
          : { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] }
      },
      axes: [
        { ...axis, size: 28, ...setup.x },
        { ...axis, size: AXIS_PX, values: (_, splits) => splits.map((value) => this.axisText(value)) }
      ],
      series: [{}, ...setup.names.map((_, index) => this.series(index))],
      hooks: {
        drawClear: setup.background === undefined ? [] : [setup.background],
        setCursor: [() => this.cursorMoved()],
        setScale: [(plot, key) => this.scaleChanged(plot, key)]
      }
    }
  }

  private series(index: number): uPlotClass.Series {
    const item = this.legend.items[index]
    const lone = lonePoints(this.setup.data[index + 1] as ReadonlyArray<number | null | undefined>)
    return {
      label: item.name,
      show: item.on,
      width: 1.6,
      stroke: () => colour(`--s${(item.slot % COLOURS) + 1}`),
      ...(item.slot >= COLOURS ? { dash: [6, 4] } : {}),
      // A single value between two gaps has no line: it gets a dot.
      points: { show: true, size: 5, fill: () => colour(`--s${(item.slot % COLOURS) + 1}`), filter: () => lone }
    }
  }

  private applyLegend(): void {
    this.plot.batch(() => {
      this.legend.items.forEach((item, index) => {
        this.plot.series[index + 1].dash = item.slot >= COLOURS ? [6, 4] : []
        if (this.plot.series[index + 1].show !== item.on) this.plot.setSeries(index + 1, { show: item.on })
      })
    })
    this.plot.redraw(false, false)
  }

  private axisText(value: number | null): string {
    if (value === null) return ""
    const { min = 1, max = 1 } = this.plot.scales["y"]
    if (this.setup.logarithmic && max! > min! * 10 && !/^[125]/.test(value.toExponential(0))) return ""
    return significant(value)
  }

  private cursorMoved(): void {
    this.showValues()
    const { left } = this.plot.cursor
    if (!this.following) this.setup.onCursor?.(left === undefined || left < 0 ? null : this.plot.posToVal(left, "x"))
  }

  private scaleChanged(plot: uPlotClass, key: string): void {
    const { min, max } = plot.scales[key]
    if (key === "x" && !this.following && min !== undefined && max !== undefined && plot.status === 1)
      this.setup.onZoom?.(min, max)
  }

  /** Values under the cursor, or the largest of each line while there is no cursor. */
  private showValues(): void {
    const { plot, setup } = this
    const index = plot?.cursor.left !== undefined && plot.cursor.left >= 0 ? plot.cursor.idx : null
    const columns = setup.data.slice(1) as ReadonlyArray<ReadonlyArray<number | null | undefined>>
    const text = (value: number | null | undefined): string =>
      value === null || value === undefined ? "–" : significant(value * this.scale.factor)
    if (index === null || index === undefined) {
      this.legend.values(
        `${setup.rest}, ${this.scale.unit}`,
        columns.map((values) => text(largestOf(values)))
      )
    } else {
      this.legend.values(
        `${setup.when(setup.data[0][index])}, ${this.scale.unit}`,
        columns.map((values) => text(nearest(values, index)))
      )
    }
  }

  private largest(): number {
    const columns = this.setup.data.slice(1) as ReadonlyArray<ReadonlyArray<number | null | undefined>>
    return Math.max(0, ...columns.filter((_, index) => this.setup.on[index]).map((values) => largestOf(values) ?? 0))
  }
}

/** Values in the unit that the axis shows, so that its marks fall on round numbers of that unit. */
const scaled = ([xs, ...columns]: uPlotClass.AlignedData, factor: number): uPlotClass.AlignedData =>
  [
    xs,
    ...columns.map((values) =>
      [...(values as ReadonlyArray<number | null | undefined>)].map((value) => (value == null ? value : value * factor))
    )
  ] as uPlotClass.AlignedData

const largestOf = (values: ReadonlyArray<number | null | undefined>): number | null => {
  let most: number | null = null
  for (const value of values) if (value != null && (most === null || value > most)) most = value
  return most
}

/** The value at an index. Where the series simply was not sampled, the last before it; where it had a gap, none. */
const nearest = (values: ReadonlyArray<number | null | undefined>, index: number): number | null | undefined => {
  for (let at = index; at >= 0; at--) if (values[at] !== undefined) return values[at]
  return undefined
}

const lonePoints = (values: ReadonlyArray<number | null | undefined>): Array<number> => {
  const present: Array<number> = []
  // A series that was not sampled at a point (`undefined`) still has its line there; a gap (`null`) has not.
  const sampled = values.map((value, index) => ({ value, index })).filter(({ value }) => value !== undefined)
  sampled.forEach(({ value, index }, at) => {
    const before = sampled[at - 1]?.value ?? null
    const after = sampled[at + 1]?.value ?? null
    if (value !== null && before === null && after === null) present.push(index)
  })
  return present
}

/** From a 1, 2 or 5 below the smallest to one above the largest value. */
const logRange = (_: uPlotClass, least: number | null, most: number | null): [number, number] => {
  if (least === null || most === null || most <= 0) return [0.1, 10]
  return [stepBelow(Math.max(least, 1e-6) / 1.02), stepAbove(most * 1.02)]
}

const LOG_STEPS = [1, 2, 5, 10]

const stepBelow = (value: number): number => {
  const power = 10 ** Math.floor(Math.log10(value))
  return power * LOG_STEPS.filter((step) => step * power <= value * (1 + 1e-9)).at(-1)!
}

const stepAbove = (value: number): number => {
  const power = 10 ** Math.floor(Math.log10(value))
  return power * LOG_STEPS.find((step) => step * power >= value * (1 - 1e-9))!
}
