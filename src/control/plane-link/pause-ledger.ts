import type { AnsweredCommand } from './plane-connection.ts'

/** What holds a database's transactions back. */
type Held = 'pause' | 'kill'

/**
 * What PAUSE and KILL hold back at this moment, so that a plane that starts later can be told. `null` stands for all
 * databases.
 */
export class PauseLedger {
  readonly #held = new Map<string | null, Held>()
  #save: (databases: readonly (string | null)[]) => void = () => {}

  /** `save` is told, now and after each change, what is held back. */
  keepIn(save: (databases: readonly (string | null)[]) => void): void {
    this.#save = save
    this.#changed()
  }

  /** The operator held back a database (null: every one). */
  hold(op: Held, database: string | null): void {
    this.#held.set(database, op)
    this.#changed()
  }

  /** RESUME of all databases ends every PAUSE and KILL; of one, only its own. */
  resume(database: string | null): void {
    if (database === null) this.#held.clear()
    else this.#held.delete(database)
    this.#changed()
  }

  get all(): boolean {
    return this.#held.has(null)
  }

  get databases(): readonly string[] {
    return [...this.#held.keys()].filter((database) => database !== null)
  }

  /** The commands, in order, that bring a fresh plane to this state. */
  commands(): readonly AnsweredCommand[] {
    return [...this.#held].map(([database, op]) => ({ op, database }))
  }

  #changed(): void {
    this.#save([...this.#held.keys()])
  }
}
