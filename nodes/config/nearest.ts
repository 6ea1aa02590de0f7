/** The known names that someone who typed an unknown one may have meant. */

/** At most this many are suggested. */
const SUGGESTIONS_MAX = 3
/** Longer words are not compared: the distance costs the product of the lengths. */
const WORD_CHARACTERS_MAX = 64

/** Names near to `word`, the nearest first: few edits apart for their length, or beginning the same way. */
export const nearest = (word: string, names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const typed = word.toLowerCase().slice(0, WORD_CHARACTERS_MAX)
  const near: Array<{ readonly name: string; readonly edits: number }> = []
  for (const name of names) {
    const known = name.toLowerCase()
    const begins = typed.length >= 3 && known.startsWith(typed)
    const edits = begins ? 0 : editDistance(typed, known)
    if (edits <= Math.max(1, Math.floor(Math.max(typed.length, known.length) / 3))) near.push({ name, edits })
  }
  near.sort((a, b) => a.edits - b.edits)
  return near.slice(0, SUGGESTIONS_MAX).map(({ name }) => name)
}

/** `; did you mean a or b?`, or nothing. */
export const didYouMean = (word: string, names: ReadonlyArray<string>): string => {
  const near = nearest(word, names)
  return near.length === 0 ? "" : `; did you mean ${near.join(" or ")}?`
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal string alignment). */
export const editDistance = (a: string, b: string): number => {
  let before: Array<number> = []
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)
      row[j] = Math.min(previous[j] + 1, row[j - 1] + 1, replaced)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) row[j] = Math.min(row[j], before[j - 2] + 1)
    }
    before = previous
    previous = row
  }
  return previous[b.length]
}
