import type { SettingValue } from '../sql/setting-scan.ts'

import { isCustom } from './custom-names.ts'

/** Changes as JSON can say them: a name without a value is one whose value only the server knows. */
export interface ChangesSnapshot {
  readonly changes: readonly (readonly [string] | readonly [string, string | null])[]
  readonly isKnown: boolean
  readonly onlyInTransaction: boolean
  readonly awaitsExecute: boolean
}

/**
 * The settings that a client's statements have touched since the last time that all was answered and no transaction was
 * open, and whether their fate is known from the texts: it is, as long as nothing failed and nothing was rolled back.
 */
export class SettingChanges {
  readonly #changes: [string, SettingValue][] = []
  #isKnown = true
  /** Settings of applications were reset, to what only the server knows. */
  #hasResetCustoms = false
  #onlyInTransaction = true
  /** A statement that touches settings has been bound and not been executed yet. */
  #awaitsExecute = false

  /** Null: none. */
  get snapshot(): ChangesSnapshot | null {
    if (!this.any && !this.#awaitsExecute) return null
    return {
      changes: this.#changes.map(([name, value]) => (value === undefined ? [name] : [name, value])),
      isKnown: this.#isKnown && !this.#hasResetCustoms,
      onlyInTransaction: this.#onlyInTransaction,
      awaitsExecute: this.#awaitsExecute,
    }
  }

  /** As another process had them. */
  restore({ changes, isKnown, onlyInTransaction, awaitsExecute }: ChangesSnapshot): void {
    for (const [name, value] of changes) this.#changes.push([name, value])
    this.#isKnown = isKnown
    this.#onlyInTransaction = onlyInTransaction
    this.#awaitsExecute = awaitsExecute
  }

  /** In the order in which they were sent. */
  get all(): readonly (readonly [string, SettingValue])[] {
    return this.#changes
  }

  get any(): boolean {
    return this.#changes.length > 0
  }

  /** They can be applied without asking the server. */
  get known(): boolean {
    return this.isDone && !this.#hasResetCustoms
  }

  /** The server has done all of it as the texts say. */
  get isDone(): boolean {
    return this.#isKnown && !this.#awaitsExecute
  }

  /** All were made in a transaction that is open still, so that its end without success undoes them. */
  get onlyInTransaction(): boolean {
    return this.#onlyInTransaction
  }

  /** What was last said of this setting; undefined when only the server knows, or nobody has touched it. */
  lastOf(name: string): SettingValue {
    return this.#changes.findLast(([touched]) => touched === name)?.[1]
  }

  /** The last that was said of these settings is that they be reset. */
  get reset(): ReadonlySet<string> {
    const last = new Map(this.#changes)
    return new Set([...last.keys()].filter((name) => last.get(name) === null))
  }

  touch(name: string, value: SettingValue, inTransaction: boolean): void {
    this.#changes.push([name, value])
    if (value === undefined) this.#isKnown = false
    else if (value === null && isCustom(name)) this.#hasResetCustoms = true
    if (!inTransaction) this.#onlyInTransaction = false
  }

  /** A statement that has touched settings was bound. What is executed in another order has another outcome. */
  bound(): void {
    if (this.#awaitsExecute) this.#isKnown = false
    this.#awaitsExecute = true
  }

  /** The statement bound last, or any other, is executed. */
  executed(): void {
    if (this.#awaitsExecute) this.#awaitsExecute = false
    else if (this.any) this.#isKnown = false
  }

  /** Something failed, or was rolled back. */
  undo(): void {
    if (this.any) this.#isKnown = false
  }

  clear(): void {
    this.#changes.length = 0
    this.#isKnown = true
    this.#hasResetCustoms = false
    this.#onlyInTransaction = true
    this.#awaitsExecute = false
  }
}
