/** Brings the page to life. Everything that can be read without scripts is in the page already. */

import type { RunData } from "../chart-data.ts"
import { mountCopyButtons } from "./copy.ts"
import { mountLog } from "./log.ts"
import { mountOverview } from "./overview.ts"
import { mountPercentiles } from "./percentile-chart.ts"
import { mountSections } from "./sections.ts"
import { mountTheme } from "./theme.ts"
import { TimeGroup } from "./time-charts.ts"

const mountRun = (section: HTMLElement): void => {
  const element = document.getElementById(`${section.id}-data`)
  if (element === null) return
  const data = JSON.parse(element.textContent ?? "") as RunData
  const group = new TimeGroup(section, data)
  for (const chart of data.charts) {
    const host = section.querySelector<HTMLElement>(`[data-chart="${chart.id}"]`)
    if (host !== null) whenVisible(host, () => group.add(host, chart))
  }
  const { percentiles } = data
  const host = section.querySelector<HTMLElement>("[data-percentiles]")
  if (host !== null && percentiles !== null) whenVisible(host, () => mountPercentiles(host, percentiles))
  else host?.remove()
  const log = section.querySelector<HTMLElement>("[data-log]")
  if (log !== null) mountLog(log, data.log, (at) => group.point(at))
}

/** A chart needs a width to be drawn: it waits until its run, or the part it is folded into, is shown. */
const whenVisible = (host: HTMLElement, mount: () => void): void => {
  const plot = host.querySelector<HTMLElement>(".plot")!
  const observer = new ResizeObserver(() => {
    if (plot.clientWidth === 0) return
    observer.disconnect()
    mount()
  })
  observer.observe(plot)
}

mountTheme()
mountCopyButtons()
mountOverview()
mountSections()
for (const section of document.querySelectorAll<HTMLElement>("section.run")) {
  const whenShown = new ResizeObserver(() => {
    if (section.hidden) return
    whenShown.disconnect()
    mountRun(section)
  })
  whenShown.observe(section)
}
