/** The theme switch, and who wants to know when the theme changes. */

import { storedTheme, storeTheme, type Theme } from "./theme-choice.ts"

const listeners: Array<() => void> = []

/** Calls `listener` after each change of colours: by the switch, the system, or for printing. */
export const onThemeChange = (listener: () => void): void => {
  listeners.push(listener)
}

export const mountTheme = (): void => {
  const button = document.getElementById("theme")
  if (button === null) return
  const system = matchMedia("(prefers-color-scheme: dark)")
  const current = (): Theme =>
    (document.documentElement.dataset["theme"] as Theme | undefined) ?? (system.matches ? "dark" : "light")
  const show = (): void => {
    button.setAttribute("aria-pressed", String(current() === "dark"))
    for (const listener of listeners) listener()
  }
  button.addEventListener("click", () => {
    const next = current() === "dark" ? "light" : "dark"
    document.documentElement.dataset["theme"] = next
    storeTheme(next)
    show()
  })
  system.addEventListener("change", show)
  if (storedTheme() !== null || system.matches) show()
  // Paper is white: charts are painted for it, and painted back afterwards.
  let before: string | undefined
  addEventListener("beforeprint", () => {
    before = document.documentElement.dataset["theme"]
    document.documentElement.dataset["theme"] = "light"
    show()
  })
  addEventListener("afterprint", () => {
    if (before === undefined) delete document.documentElement.dataset["theme"]
    else document.documentElement.dataset["theme"] = before
    show()
  })
}
