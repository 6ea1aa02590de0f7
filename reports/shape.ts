/** Says in words what is wrong with JSON that should have a known shape: which field, what was expected, what is there. */

/** Returns what is wrong with the value at `path`, or nothing. */
export type Shape = (value: unknown, path: string) => string | undefined

const found = (value: unknown): string => {
  if (value === undefined) return "nothing"
  const text = JSON.stringify(value)
  return text.length > 40 ? `${text.slice(0, 40)}…` : text
}

const wrong = (path: string, expected: string, value: unknown): string =>
  `${path}: expected ${expected}, found ${found(value)}`

export const text: Shape = (value, path) => (typeof value === "string" ? undefined : wrong(path, "a text", value))

export const number: Shape = (value, path) => (typeof value === "number" ? undefined : wrong(path, "a number", value))

export const scalar: Shape = (value, path) =>
  ["string", "number", "boolean"].includes(typeof value) ? undefined : wrong(path, "a text, number or boolean", value)

export const truth: Shape = (value, path) =>
  typeof value === "boolean" ? undefined : wrong(path, "true or false", value)

export const anyObject: Shape = (value, path) =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? undefined : wrong(path, "an object", value)

export const oneOf =
  (...known: ReadonlyArray<string>): Shape =>
  (value, path) =>
    known.includes(value as string) ? undefined : wrong(path, `one of ${known.join(", ")}`, value)

export const nullable =
  (shape: Shape): Shape =>
  (value, path) =>
    value === null ? undefined : shape(value, path)

/** What may be left out. */
export const optional =
  (shape: Shape): Shape =>
  (value, path) =>
    value === undefined ? undefined : shape(value, path)

export const list =
  (of: Shape): Shape =>
  (value, path) => {
    if (!Array.isArray(value)) return wrong(path, "a list", value)
    for (let index = 0; index < value.length; index++) {
      const problem = of(value[index], `${path}[${index}]`)
      if (problem !== undefined) return problem
    }
    return undefined
  }

/** An object with any keys. */
export const record =
  (of: Shape): Shape =>
  (value, path) => {
    const problem = anyObject(value, path)
    if (problem !== undefined) return problem
    for (const [key, entry] of Object.entries(value as object)) {
      const inside = of(entry, `${path}.${key}`)
      if (inside !== undefined) return inside
    }
    return undefined
  }

/** An object with at least these fields. */
export const object =
  (fields: Readonly<Record<string, Shape>>): Shape =>
  (value, path) => {
    const problem = anyObject(value, path)
    if (problem !== undefined) return problem
    for (const [key, shape] of Object.entries(fields)) {
      const inside = shape((value as Record<string, unknown>)[key], path === "" ? key : `${path}.${key}`)
      if (inside !== undefined) return inside
    }
    return undefined
  }
