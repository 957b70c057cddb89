interface Holding {
  readonly key: number
  readonly from: number
  to: number
}

/** When which lock was held for certain: from the moment its holder was told so to the last time that it was seen there. */
class LockLedger {
  readonly #holdings: Holding[] = []

  /** Its holder has been told. Returns the number of the holding. */
  taken(key: number, at: number): number {
    return this.#holdings.push({ key, from: at, to: at }) - 1
  }

  /** It was still there at this time. */
  seen(holding: number, at: number): void {
    const found = this.#holdings[holding]
    if (found !== undefined) found.to = Math.max(found.to, at)
  }

  /** How often two had the same lock at the same time. */
  get conflicts(): number {
    let conflicts = 0
    for (const [index, one] of this.#holdings.entries()) {
      for (const other of this.#holdings.slice(index + 1)) {
        if (one.key === other.key && one.from < other.to && other.from < one.to) conflicts++
      }
    }
    return conflicts
  }
}

/** Of all loads of this process. */
export const lockLedger = new LockLedger()
