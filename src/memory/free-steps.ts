/** Stretches are found by their size's power of 2; the largest is below 2^CLASSES steps. */
const CLASSES = 31

/** A stretch of steps that nobody uses. */
interface Stretch {
  readonly first: number
  readonly steps: number
}

/**
 * Stretches of memory that may be used again, in steps: nothing is looked for, so that a stretch is found as fast among a
 * hundred thousand as among ten. What is left of one that is too long is a stretch again.
 */
export class FreeSteps {
  #classes: Stretch[][] = []
  /** Of all stretches. */
  total = 0

  constructor() {
    this.clear()
  }

  clear(): void {
    this.#classes = Array.from({ length: CLASSES }, () => [])
    this.total = 0
  }

  add(first: number, steps: number): void {
    this.#classes[classOf(steps)]?.push({ first, steps })
    this.total += steps
  }

  /** A stretch of at least `steps`, which is not free any more; null: there is none. */
  take(steps: number): Stretch | null {
    // Of its own class some are too short: only the last one is looked at.
    const own = this.#classes[classOf(steps)]
    if ((own?.at(-1)?.steps ?? 0) >= steps) return this.#pop(own)
    for (let at = classOf(steps) + 1; at < CLASSES; at++) {
      const longer = this.#classes[at]
      if (longer !== undefined && longer.length > 0) return this.#pop(longer)
    }
    return null
  }

  #pop(stretches: Stretch[] | undefined): Stretch | null {
    const stretch = stretches?.pop() ?? null
    this.total -= stretch?.steps ?? 0
    return stretch
  }
}

/** 2^class is the longest power of 2 that is not longer. */
const classOf = (steps: number): number => 31 - Math.clz32(steps)
