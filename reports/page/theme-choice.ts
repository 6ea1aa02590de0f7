/** The theme that the reader chose, if any. Some browsers refuse storage to pages opened from a file; the choice then lasts as long as the page. */

const THEME_KEY = "horizon-report-theme"

export type Theme = "light" | "dark"

export const storedTheme = (): Theme | null => {
  try {
    const value = localStorage.getItem(THEME_KEY)
    return value === "light" || value === "dark" ? value : null
  } catch {
    return null
  }
}

export const storeTheme = (theme: Theme): void => {
  try {
    localStorage.setItem(THEME_KEY, theme)
  } catch {
    // Nothing is lost but the memory of the choice.
  }
}
