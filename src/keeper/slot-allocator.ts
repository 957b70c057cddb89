/**
 * Which slots are free. Ordinary slots come first and the last one freed is the first one given, so that the memory
 * in use stays small and warm; then the reserve, in which a plane can refuse a client politely.
 */
export class SlotAllocator {
  readonly #ordinary: Stack
  readonly #reserve: Stack
  readonly #firstReserved: number

  /** Slots 0 … `ordinary` − 1 are ordinary, `ordinary` … `slots` − 1 are the reserve. */
  constructor(slots: number, ordinary: number) {
    this.#ordinary = new Stack(0, ordinary)
    this.#reserve = new Stack(ordinary, slots)
    this.#firstReserved = ordinary
  }

  /** How many can be allocated. */
  get free(): number {
    return this.#ordinary.size + this.#reserve.size
  }

  /** A slot, or null when all are taken. */
  allocate(): number | null {
    return this.#ordinary.pop() ?? this.#reserve.pop()
  }

  /** The slot is taken already. Before the first `allocate`. */
  claim(slot: number): void {
    if (slot < this.#firstReserved) this.#ordinary.claim(slot)
    else this.#reserve.claim(slot)
  }

  /** Gives back a slot that `allocate` returned, or that was claimed, once. */
  release(slot: number): void {
    if (slot < this.#firstReserved) this.#ordinary.push(slot)
    else this.#reserve.push(slot)
  }
}

/** The numbers `first` … `end` − 1, the lowest on top. */
class Stack {
  readonly #items: Int32Array
  /** Numbers on the stack that count as taken. */
  readonly #claimed = new Set<number>()
  #size: number

  constructor(first: number, end: number) {
    this.#size = end - first
    this.#items = Int32Array.from({ length: this.#size }, (_, index) => end - 1 - index)
  }

  get size(): number {
    return this.#size - this.#claimed.size
  }

  claim(item: number): void {
    this.#claimed.add(item)
  }

  pop(): number | null {
    while (this.#size > 0) {
      this.#size--
      const item = this.#items[this.#size] ?? 0
      if (!this.#claimed.delete(item)) return item
    }
    return null
  }

  push(item: number): void {
    // It never left the stack.
    if (this.#claimed.delete(item)) return
    if (this.#size === this.#items.length) throw new Error(`slot ${item} was given back twice`)
    this.#items[this.#size] = item
    this.#size++
  }
}
