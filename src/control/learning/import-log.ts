import { Analyzer, NO_ANALYZER } from '../../analyzer/analyzer.ts'
import { CLIENT, CLIENT_F64, CLIENT_FLAG, CLIENT_TEXT } from '../../memory/client-slots.ts'
import { HistoryRing } from '../../memory/history-ring.ts'
import { regionsOf } from '../../memory/layout.ts'
import { formatSharedState, type SharedState } from '../../memory/shared-state.ts'
import { type HistoryRow, rowOf } from './history-row.ts'
import { formatOf, type LogEvent, type LogFormat, logEvents } from './log-events.ts'

/** Sessions of a log that can be open at once. */
const SLOTS = 4096
const IDLE = 0x49

/** What a log of PostgreSQL or PgBouncer gave: rows, from so many lines, in this format. */
export interface ImportedLog {
  readonly rows: readonly HistoryRow[]
  readonly lines: number
  readonly format: LogFormat
}

/**
 * History out of a log: its sessions are played to an analyzer as if they had come through a plane, so features are made
 * by the same code. What logs do not tell (rows, bytes, transactions) stays unknown. `name`: of the log.
 */
export function importLog(name: string, text: string): ImportedLog {
  const format = formatOf(text)
  const player = new LogPlayer(name)
  const events = [...logEvents(text, format)].sort((a, b) => a.time - b.time)
  for (const event of events) player.play(event)
  return { rows: player.finish(), lines: text.split('\n').length, format }
}

/** Plays events to an analyzer with a memory of its own. */
class LogPlayer {
  readonly #memory: SharedState
  readonly #analyzer: Analyzer
  readonly #ring: HistoryRing
  readonly #rows: HistoryRow[] = []
  readonly #name: string
  readonly #slots = new Map<string, number>()
  readonly #free: number[] = Array.from({ length: SLOTS }, (_, slot) => SLOTS - 1 - slot)
  #generation = 0
  #now = 0

  constructor(name: string) {
    const geometry = {
      clientSlots: SLOTS,
      ordinaryClientSlots: SLOTS,
      serverSlots: 1,
      poolRecords: 1,
      planes: 1,
      arenaBytesPerPlane: 0,
    }
    this.#memory = formatSharedState(new ArrayBuffer(regionsOf(geometry).totalBytes), geometry, 0)
    this.#analyzer = new Analyzer(this.#memory, 0, () => {})
    this.#analyzer.setValues({ ...NO_ANALYZER, historySample: 1 }, [], 0)
    this.#ring = new HistoryRing(this.#memory.history, 0)
    this.#name = name.replace(/^.*\//, '')
  }

  play(event: LogEvent): void {
    this.#now = event.time
    const slot = this.#slots.get(event.session)
    if (event.kind === 'connect') this.#connect(event)
    else if (slot !== undefined && event.kind === 'statement') this.#statement(slot, event.tag, event.ms)
    else if (slot !== undefined && event.kind === 'error') this.#analyzer.profiles.error(slot)
    else if (slot !== undefined) this.#end(event.session, slot)
    this.#drain()
  }

  /** Sessions that the log does not see the end of end with it. */
  finish(): readonly HistoryRow[] {
    for (const [session, slot] of this.#slots) {
      this.#end(session, slot)
      this.#drain()
    }
    return this.#rows
  }

  #connect(event: Extract<LogEvent, { kind: 'connect' }>): void {
    const before = this.#slots.get(event.session)
    if (before !== undefined) this.#end(event.session, before)
    const slot = this.#free.pop()
    if (slot === undefined) return
    const { clients } = this.#memory
    clients.clear(slot)
    const i = slot * (clients.recordBytes >> 2)
    clients.i32[i + CLIENT.generation] = ++this.#generation
    if (event.address === '') clients.i32[i + CLIENT.flags] = CLIENT_FLAG.unix
    const texts = {
      user: event.user,
      database: event.database,
      applicationName: event.application,
      address: event.address,
    }
    for (const [name, text] of Object.entries(texts)) {
      const { offset, capacity } = CLIENT_TEXT[name as keyof typeof texts]
      clients.writeText(slot, offset, capacity, text)
    }
    this.#slots.set(event.session, slot)
    this.#analyzer.connected(slot, { settings: new Map(), hint: null }, this.#now)
  }

  /** The line is written when the statement is over. Logs do not tell transactions from each other. */
  #statement(slot: number, tag: string, ms: number): void {
    const bytes = Buffer.from(`${tag === '' ? 'SELECT' : tag}\0`)
    const { clients } = this.#memory
    clients.f64[slot * (clients.recordBytes >> 3) + CLIENT_F64.transactionAt] = this.#now - ms
    this.#analyzer.profiles.command(slot, bytes, 0, bytes.length, false)
    this.#analyzer.answered(slot, IDLE, ms, this.#now)
  }

  #end(session: string, slot: number): void {
    this.#analyzer.disconnected(slot, this.#now)
    this.#slots.delete(session)
    this.#free.push(slot)
  }

  #drain(): void {
    this.#ring.drain((record) => this.#rows.push(rowOf(this.#memory.history, record, 0, this.#name)))
  }
}
