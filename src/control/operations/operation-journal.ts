import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { OperationRecord } from './operation.ts'

/** What has to outlive a control process. */
export interface JournalState {
  /** The oldest first. */
  readonly operations: readonly OperationRecord[]
  /** Names of shards. */
  readonly drained: readonly string[]
}

const FILE = 'operations.json'
const KEPT = 50
const EMPTY: JournalState = { operations: [], drained: [] }

/** The file `operations.json` in the data directory: every operation of late, and which shards are drained. */
export class OperationJournal {
  readonly #path: string
  #state: JournalState

  /** `ignored` hears of a file that is not what was written; it is begun anew. */
  constructor(dataDirectory: string, ignored: (reason: string) => void) {
    this.#path = join(dataDirectory, FILE)
    this.#state = this.#read(ignored)
  }

  get state(): JournalState {
    return this.#state
  }

  /** Adds the record, or puts it in the place of the one with its id. */
  record(record: OperationRecord): void {
    const { operations } = this.#state
    const at = operations.findIndex(({ id }) => id === record.id)
    const next = at < 0 ? [...operations, record] : operations.with(at, record)
    this.#write({ ...this.#state, operations: next.slice(-KEPT) })
  }

  drained(names: readonly string[]): void {
    this.#write({ ...this.#state, drained: names })
  }

  #write(state: JournalState): void {
    this.#state = state
    const temporary = `${this.#path}.new`
    writeFileSync(temporary, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 })
    renameSync(temporary, this.#path)
  }

  #read(ignored: (reason: string) => void): JournalState {
    try {
      const state: unknown = JSON.parse(readFileSync(this.#path, 'utf8'))
      if (isState(state)) return state
      ignored(`${this.#path} is not a list of operations`)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') ignored(`${this.#path} cannot be read: ${String(error)}`)
    }
    return EMPTY
  }
}

function isState(value: unknown): value is JournalState {
  if (typeof value !== 'object' || value === null || !('operations' in value) || !('drained' in value)) return false
  return Array.isArray(value.operations) && Array.isArray(value.drained)
}
