/** Picks the nearest: partial selection by key, in place, without allocation (Hoare's quickselect, middle pivot). */

/**
 * Rearranges the first `count` ids, with their keys, so that the `wanted` smallest come first. Equal keys are ordered by id, so
 * the outcome is the same whatever the order was before.
 */
export const selectNearest = (ids: Uint16Array, keys: Float64Array, count: number, wanted: number): void => {
  if (wanted <= 0 || wanted >= count) return
  let low = 0
  let high = count - 1
  while (low < high) {
    const middle = (low + high) >> 1
    const pivotKey = keys[middle]
    const pivotId = ids[middle]
    let i = low
    let j = high
    while (i <= j) {
      while (keys[i] < pivotKey || (keys[i] === pivotKey && ids[i] < pivotId)) i++
      while (keys[j] > pivotKey || (keys[j] === pivotKey && ids[j] > pivotId)) j--
      if (i > j) break
      const key = keys[i]
      const id = ids[i]
      keys[i] = keys[j]
      ids[i++] = ids[j]
      keys[j] = key
      ids[j--] = id
    }
    if (wanted < j + 1) high = j
    else if (wanted > i) low = i
    else return
  }
}
