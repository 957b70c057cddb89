import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from '../../log.ts'
import { HistoryRing } from '../../memory/history-ring.ts'
import { HEADER } from '../../memory/layout.ts'
import type { SharedState } from '../../memory/shared-state.ts'
import { compactSegment, historyFiles, rotateHistory, SEGMENT_SUFFIX } from './history-files.ts'
import { type HistoryRow, rowOf, rowToLine } from './history-row.ts'

const DRAIN_MS = 500
/** A segment becomes a table when it has so many rows, or is so old. */
const SEGMENT_ROWS = 20_000
const SEGMENT_MS = 3_600_000

/** What is kept of the history: what is over either is removed, the oldest first. */
export interface HistoryBounds {
  readonly mostBytes: number
  readonly mostAgeMs: number
}

/** Where rows come from and where they go. */
export interface HistoryRecorderOptions {
  readonly memory: SharedState
  /** Made when there is something to write. */
  readonly directory: string
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly bounds: () => HistoryBounds
  /** Sees every row as it is written. */
  readonly onRow: (row: HistoryRow) => void
  readonly log: Logger
}

/** Takes what planes leave in their history rings, twice a second, and keeps it in files. `stop` ends that, for good. */
export class HistoryRecorder {
  readonly #options: HistoryRecorderOptions
  readonly #rings: readonly HistoryRing[]
  readonly #wallOffset: number
  readonly #router: string
  #timer: NodeJS.Timeout | null = null
  #segment: { readonly path: string; readonly since: number; rows: number } | null = null
  #failed = false

  constructor(options: HistoryRecorderOptions) {
    this.#options = options
    const { memory } = options
    this.#rings = Array.from({ length: memory.geometry.planes }, (_, plane) => new HistoryRing(memory.history, plane))
    this.#wallOffset = memory.headerF64[HEADER.wallClockOffset] as number
    // The offset is another one for each router, and the same for all of its processes.
    this.#router = Math.round(this.#wallOffset).toString(36)
  }

  /** Segments that a control process left behind become tables. */
  start(): void {
    this.#guard(() => {
      mkdirSync(this.#options.directory, { recursive: true, mode: 0o700 })
      for (const path of historyFiles(this.#options.directory)) {
        if (path.endsWith(SEGMENT_SUFFIX)) compactSegment(path)
      }
    })
    this.#timer = setInterval(() => this.drain(), DRAIN_MS)
    this.#timer.unref()
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.drain()
    this.#guard(() => this.#finishSegment())
  }

  /** Writes what is there now. */
  drain(): void {
    const lines: string[] = []
    for (const ring of this.#rings) {
      ring.drain((record) => {
        const row = rowOf(ring.region, record, this.#wallOffset, this.#router)
        this.#options.onRow(row)
        lines.push(rowToLine(row))
      })
    }
    this.#guard(() => {
      if (lines.length > 0) this.#append(lines)
      const { now } = this.#options
      if (this.#segment === null) return
      if (this.#segment.rows >= SEGMENT_ROWS || now() - this.#segment.since > SEGMENT_MS) this.#finishSegment()
    })
  }

  #append(lines: readonly string[]): void {
    const { now, directory } = this.#options
    const at = now()
    const name = `${new Date(at).toISOString().replace(/[-:.]/g, '')}${SEGMENT_SUFFIX}`
    this.#segment ??= { path: join(directory, name), since: at, rows: 0 }
    appendFileSync(this.#segment.path, `${lines.join('\n')}\n`, { mode: 0o600 })
    this.#segment.rows += lines.length
  }

  #finishSegment(): void {
    const { directory, bounds, now } = this.#options
    if (this.#segment !== null) compactSegment(this.#segment.path)
    this.#segment = null
    rotateHistory(directory, bounds(), now())
  }

  /** A full disk must not end control: it is said once, and tried again with what comes. */
  #guard(write: () => void): void {
    try {
      write()
      this.#failed = false
    } catch (error) {
      if (!this.#failed) this.#options.log.error({ err: error }, 'the history cannot be written; connections go on')
      this.#failed = true
    }
  }
}
