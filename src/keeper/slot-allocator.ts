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

  /** Gives back a slot that `allocate` returned, once. */
  release(slot: number): void {
    if (slot < this.#firstReserved) this.#ordinary.push(slot)
    else this.#reserve.push(slot)
  }
}

/** The numbers `first` … `end` − 1, the lowest on top. */
class Stack {
  readonly #items: Int32Array
  #size: number

  constructor(first: number, end: number) {
    this.#size = end - first
    this.#items = Int32Array.from({ length: this.#size }, (_, index) => end - 1 - index)
  }

  get size(): number {
    return this.#size
  }

  pop(): number | null {
    if (this.#size === 0) return null
    this.#size--
    return this.#items[this.#size] ?? null
  }

  push(item: number): void {
    if (this.#size === this.#items.length) throw new Error(`slot ${item} was given back twice`)
    this.#items[this.#size] = item
    this.#size++
  }
}
