/**
 * HTML by tagged template: whatever is put into a template is data and gets escaped, unless it is `Html` already. A name that a
 * scenario, a peer or an error message chose can therefore never become markup.
 */

/** Markup that is safe to put into a page as it is. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

type Insertable = Html | string | number | null | undefined | false | ReadonlyArray<Insertable>

export const html = (parts: TemplateStringsArray, ...values: ReadonlyArray<Insertable>): Html => {
  let text = parts[0]
  values.forEach((value, index) => {
    text += render(value) + parts[index + 1]
  })
  return new Html(text)
}

const render = (value: Insertable): string => {
  if (value === null || value === undefined || value === false) return ""
  if (value instanceof Html) return value.text
  if (typeof value === "object") return value.map(render).join("")
  return escapeText(String(value))
}

/** Escapes for element content and for attribute values in quotes of either kind. */
export const escapeText = (text: string): string => text.replace(/[&<>"'`]/g, (char) => `&#${char.charCodeAt(0)};`)

/** Data for the page's scripts. `<` never appears, so nothing in the data can end the element or open a comment in it. */
export const dataElement = (id: string, data: unknown): Html =>
  new Html(
    `<script type="application/json" id="${escapeText(id)}">${JSON.stringify(data).replace(/</g, "\\u003c")}</script>`
  )
