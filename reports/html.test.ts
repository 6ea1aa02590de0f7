import { expect, test } from "vitest"
import { dataElement, escapeText, Html, html } from "./html.ts"

test("whatever is put into a template is text, in content and in attributes", () => {
  const hostile = `"><img src=x onerror='alert(1)'>&\``
  const made = html`<p title="${hostile}">${hostile}</p>`.text
  expect(made).not.toContain("<img")
  expect(made.match(/[<>]/g)).toHaveLength(4)
  expect(made).not.toMatch(/title="[^"]*"[^>]/)
})

test("markup made by a template passes through, lists are joined, nothing stands for nothing", () => {
  expect(html`<ul>${[1, 2].map((n) => html`<li>${n}</li>`)}${false}${null}${undefined}</ul>`.text).toBe(
    "<ul><li>1</li><li>2</li></ul>"
  )
  expect(html`${0}`.text).toBe("0")
  expect(html`${new Html("<b>")}`.text).toBe("<b>")
})

test("data cannot end its script element or open a comment in it, and comes back unchanged", () => {
  const data = { name: `</script><script>alert(1)</script><!-- ]]> ${escapeText("<&>")}` }
  const { text } = dataElement("x", data)
  const inside = text.slice(text.indexOf(">") + 1, text.lastIndexOf("</script>"))
  expect(inside).not.toContain("<")
  expect(JSON.parse(inside)).toEqual(data)
})
