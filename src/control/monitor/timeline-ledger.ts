import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The latest timeline that was seen in a group. */
export interface SeenTimeline {
  /** Of the database system: timelines of another one are not comparable. */
  readonly system: string
  readonly timeline: number
  /** Name of the shard that had it first. */
  readonly shard: string
}

/** What was seen of groups, by name. */
export type SeenTimelines = Readonly<Record<string, SeenTimeline>>

const FILE = 'timelines.json'

/**
 * The file `timelines.json` in the data directory: which timeline is the latest of each group, so that it is known when none of those
 * that have it is there, and the router was restarted. An operator whose latest data is gone for good deletes the group from
 * it and says RELOAD.
 */
export class TimelineLedger {
  readonly path: string
  readonly #ignored: (reason: string) => void
  #seen: SeenTimelines = {}

  /** `ignored` hears of a file that is not what was written, or cannot be; nothing is known then. */
  constructor(dataDirectory: string, ignored: (reason: string) => void) {
    this.path = join(dataDirectory, FILE)
    this.#ignored = ignored
    this.read()
  }

  get seen(): SeenTimelines {
    return this.#seen
  }

  /** What the file says now counts. */
  read(): void {
    this.#seen = this.#read()
  }

  /** It was seen in this group; whether it is later than what was known is for the caller to know. */
  note(group: string, seen: SeenTimeline): void {
    this.#seen = { ...this.#seen, [group]: seen }
    const temporary = `${this.path}.new`
    try {
      writeFileSync(temporary, `${JSON.stringify(this.#seen, null, 2)}\n`, { mode: 0o600 })
      renameSync(temporary, this.path)
    } catch (error) {
      this.#ignored(`${this.path} cannot be written: ${String(error)}`)
    }
  }

  #read(): SeenTimelines {
    try {
      const seen: unknown = JSON.parse(readFileSync(this.path, 'utf8'))
      if (isSeen(seen)) return seen
      this.#ignored(`${this.path} is not a list of timelines`)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.#ignored(`${this.path} cannot be read: ${String(error)}`)
    }
    return {}
  }
}

function isSeen(value: unknown): value is SeenTimelines {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.values(value).every(
    (seen: Partial<SeenTimeline> | null) =>
      typeof seen?.system === 'string' && typeof seen.timeline === 'number' && typeof seen.shard === 'string',
  )
}
