/** Things that happen at a time; those of one time in the order in which they were put in. */
export class EventHeap<T> {
  readonly #items: { readonly at: number; readonly order: number; readonly what: T }[] = []
  #order = 0

  get size(): number {
    return this.#items.length
  }

  /** When the next one is; Infinity without one. */
  get nextAt(): number {
    return this.#items[0]?.at ?? Number.POSITIVE_INFINITY
  }

  push(at: number, what: T): void {
    const items = this.#items
    items.push({ at, order: this.#order++, what })
    let index = items.length - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.#isBefore(index, parent)) return
      this.#swap(index, parent)
      index = parent
    }
  }

  /** Null: there is none. */
  pop(): T | null {
    const items = this.#items
    const [first] = items
    if (first === undefined) return null
    const last = items.pop()
    if (last !== undefined && items.length > 0) {
      items[0] = last
      this.#sink()
    }
    return first.what
  }

  #sink(): void {
    const { length } = this.#items
    let index = 0
    for (;;) {
      const left = 2 * index + 1
      const right = left + 1
      let least = index
      if (left < length && this.#isBefore(left, least)) least = left
      if (right < length && this.#isBefore(right, least)) least = right
      if (least === index) return
      this.#swap(index, least)
      index = least
    }
  }

  #isBefore(one: number, other: number): boolean {
    const a = this.#items[one]
    const b = this.#items[other]
    if (a === undefined || b === undefined) return false
    return a.at < b.at || (a.at === b.at && a.order < b.order)
  }

  #swap(one: number, other: number): void {
    const items = this.#items
    const [a, b] = [items[one], items[other]]
    if (a === undefined || b === undefined) return
    items[one] = b
    items[other] = a
  }
}
