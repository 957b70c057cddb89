/** `app.tenant`: any name with a dot may be set, and no view lists it. */
export const isCustom = (name: string): boolean => name.includes('.')

/** More are not remembered: each costs a call in the question that asks for all. */
const MOST_NAMES = 256

/** Names of settings of applications. Those not heard of for longest make room. */
export class CustomNames implements Iterable<string> {
  readonly #names = new Set<string>()

  get size(): number {
    return this.#names.size
  }

  add(name: string): void {
    if (!this.#names.delete(name) && this.#names.size >= MOST_NAMES) {
      for (const oldest of this.#names) {
        this.#names.delete(oldest)
        break
      }
    }
    this.#names.add(name)
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#names.values()
  }
}
