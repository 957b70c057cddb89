import type { Rows } from './captured-rows.ts'

/**
 * What a server connection has said of its transaction ahead of the COMMIT: with this a COMMIT that is lost can be looked up.
 *
 * - untried: whether it can be asked is not known. A question that fails in a transaction would end it, so the first one is
 *   asked outside.
 * - asked: the answer is on its way. known: `rows` has it.
 * - refused: it fails there.
 */
export class TransactionMark {
  #state: 'untried' | 'asked' | 'known' | 'refused' = 'untried'
  #rows: Rows | null = null

  /** Of the last question; null: it is not answered. */
  get rows(): Rows | null {
    return this.#rows
  }

  get isUntried(): boolean {
    return this.#state === 'untried'
  }

  /** It may be asked in a transaction. */
  get isUsable(): boolean {
    return this.#state === 'known'
  }

  asked(): void {
    this.#state = 'asked'
    this.#rows = null
  }

  /** `rows` null: it has failed. */
  answered(rows: Rows | null): void {
    this.#rows = rows
    this.#state = rows === null ? 'refused' : 'known'
  }

  /** Another transaction begins, of which nothing is known. */
  forget(): void {
    this.#rows = null
  }
}
