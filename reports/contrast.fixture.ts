/** A look at a page in a browser: what on it can hardly be read. */

/** Elements with text of their own whose contrast (WCAG 2.2, 1.4.3) is below 4.5 : 1. Switched-off controls are exempt there too. */
export const WEAK_CONTRAST = `(() => {
  const parts = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number)
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0)
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const color = parts(getComputedStyle(at).backgroundColor)
      if (color.length === 3 || color[3] === 1) return color
    }
    return [255, 255, 255]
  }
  const weak = []
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "")
    if (!own || element.closest("svg, script, style, noscript, :disabled, .skip") || element.getClientRects().length === 0) continue
    const [a, b] = [light(parts(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x)
    if ((a + 0.05) / (b + 0.05) < 4.5) weak.push(element.tagName + "." + element.className + ": " + element.textContent.slice(0, 30))
  }
  return weak
})()`
