import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PreservationEntry, PreservedClient } from './preservation-ledger.ts'

/** A report of ten thousand clients comes in many pieces: not each of them is a file. */
const WRITE_EVERY_MS = 50
/** Who was dropped comes first. */
const NAMES_PER_EVENT = 2_000
const FILE = 'preservation.json'

/**
 * The file `preservation.json` in the run directory: the preservation reports, for the next control process of this router. Written
 * whole, at once and then at most every 50 ms.
 */
export class PreservationFile {
  readonly #path: string
  readonly #ignored: (reason: string) => void
  #timer: NodeJS.Timeout | null = null
  #waiting: readonly PreservationEntry[] | null = null

  /** `ignored` hears of a file that is not what was written, or cannot be. */
  constructor(runDirectory: string, ignored: (reason: string) => void) {
    this.#path = join(runDirectory, FILE)
    this.#ignored = ignored
  }

  /** What the control process before has written, newest first; nothing when there was none, or when it cannot be read. */
  read(): readonly PreservationEntry[] {
    try {
      const entries: unknown = JSON.parse(readFileSync(this.#path, 'utf8'))
      if (Array.isArray(entries) && entries.every(isEntry)) return entries
      this.#ignored(`${this.#path} is not a list of preservation reports; SHOW PRESERVATION begins anew`)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.#ignored(`${this.#path} cannot be read (${String(error)}); SHOW PRESERVATION begins anew`)
    }
    return []
  }

  /** `entries` are what there is now. */
  keep(entries: readonly PreservationEntry[]): void {
    this.#waiting = entries
    if (this.#timer === null) this.flush()
  }

  /** What waits is written now. */
  flush(): void {
    const entries = this.#waiting
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (entries === null) return
    this.#waiting = null
    this.#write(entries)
    this.#timer = setTimeout(() => this.flush(), WRITE_EVERY_MS).unref()
  }

  #write(entries: readonly PreservationEntry[]): void {
    const temporary = `${this.#path}.new`
    try {
      const bounded = entries.map((entry) => ({ ...entry, clients: someOf(entry.clients) }))
      writeFileSync(temporary, JSON.stringify(bounded), { mode: 0o600 })
      renameSync(temporary, this.#path)
    } catch (error) {
      this.#ignored(`${this.#path} cannot be written: ${String(error)}`)
    }
  }
}

function someOf(clients: readonly PreservedClient[]): readonly PreservedClient[] {
  if (clients.length <= NAMES_PER_EVENT) return clients
  return [...clients.filter(({ kept }) => !kept), ...clients.filter(({ kept }) => kept)].slice(0, NAMES_PER_EVENT)
}

function isEntry(value: unknown): value is PreservationEntry {
  const entry = value as Partial<PreservationEntry> | null
  return (
    typeof entry?.event === 'string' &&
    [entry.id, entry.plane, entry.beganAt, entry.stallMs, entry.kept, entry.dropped, entry.told].every(
      Number.isFinite,
    ) &&
    typeof entry.reasons === 'object' &&
    entry.reasons !== null &&
    Array.isArray(entry.clients) &&
    entry.clients.every(isClient)
  )
}

function isClient(value: unknown): value is PreservedClient {
  const client = value as Partial<PreservedClient> | null
  return typeof client?.kept === 'boolean' && Number.isFinite(client.slot) && typeof client.user === 'string'
}
