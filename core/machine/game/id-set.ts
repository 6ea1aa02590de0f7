/** A set of small integers with constant-time add, remove and test, and a dense array to walk; it allocates once. */
export class IdSet {
  /** Number of members. */
  size = 0
  /** The members are the first `size`, in no promised order (the same operations give the same order). */
  readonly dense: Uint16Array
  private readonly place: Uint16Array

  /** Members are from 0 to `capacity - 1`, at most 65,535. */
  constructor(capacity: number) {
    this.dense = new Uint16Array(capacity)
    this.place = new Uint16Array(capacity)
  }

  has(id: number): boolean {
    const place = this.place[id]
    return place < this.size && this.dense[place] === id
  }

  /** Adds a member; false if it was one. */
  add(id: number): boolean {
    if (this.has(id)) return false
    this.dense[this.size] = id
    this.place[id] = this.size++
    return true
  }

  /** Removes a member; false if it was none. The last member takes its place. */
  remove(id: number): boolean {
    if (!this.has(id)) return false
    const last = this.dense[--this.size]
    const place = this.place[id]
    this.dense[place] = last
    this.place[last] = place
    return true
  }

  clear(): void {
    this.size = 0
  }
}
