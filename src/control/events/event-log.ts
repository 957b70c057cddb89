import type { Logger } from '../../log.ts'

/**
 * What an event is about.
 *
 * - health: a shard is in another state, or was restarted.
 * - role: a shard is a primary or a replica now.
 * - failover: a primary seems lost, is not, or has a successor.
 * - operation: something that an operator asked for, or an upgrade of shards, has begun, ended or failed.
 * - adjustment: tiers get less, or again more, because of the load.
 * - scaling: shards are wanted, made or taken away.
 * - configuration: another configuration holds.
 */
export const EVENT_KINDS = [
  'health',
  'role',
  'failover',
  'operation',
  'adjustment',
  'scaling',
  'configuration',
] as const

export type EventKind = (typeof EVENT_KINDS)[number]
export type EventLevel = 'info' | 'warn' | 'error'

/** Something that the control process found out or decided. */
export interface RouterEvent {
  /** Counts from 1 in this control process. */
  readonly id: number
  /** Milliseconds since 1970. */
  readonly at: number
  readonly kind: EventKind
  readonly level: EventLevel
  /** Name of the shard that it is about; null: of none in particular. */
  readonly shard: string | null
  /** One phrase without a full stop: "db2 is down". */
  readonly what: string
  /** Why, one phrase: "connection refused"; '' when `what` says it all. */
  readonly reason: string
}

/** What the one who publishes knows of an event. */
export interface EventNews extends Pick<RouterEvent, 'kind' | 'what'> {
  /** `info` when not given. */
  readonly level?: EventLevel
  readonly shard?: string | null
  readonly reason?: string
  /** For the log line only. */
  readonly fields?: Readonly<Record<string, unknown>>
}

/** Where events go. */
export interface EventSink {
  publish(news: EventNews): void
}

/** Events that are kept for `SHOW EVENTS`. */
const KEPT = 1000

/** The last events, how many there were of each kind, and a line in the log for each. Gone with the control process. */
export class EventLog implements EventSink {
  readonly #log: Logger
  readonly #wallClock: () => number
  readonly #kept: number
  readonly #ring: RouterEvent[] = []
  readonly #counts = new Map<EventKind, number>(EVENT_KINDS.map((kind) => [kind, 0]))
  #published = 0

  /** `wallClock`: milliseconds since 1970. `kept`: how many events are kept at most. */
  constructor(log: Logger, wallClock: () => number, kept: number = KEPT) {
    this.#log = log
    this.#wallClock = wallClock
    this.#kept = kept
  }

  /** Keeps the event, counts it, and writes it to the log. */
  publish({ kind, what, level = 'info', shard = null, reason = '', fields = {} }: EventNews): void {
    const id = ++this.#published
    this.#ring[(id - 1) % this.#kept] = { id, at: this.#wallClock(), kind, level, shard, what, reason }
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1)
    const about = { event: kind, ...(shard === null ? {} : { shard }), ...(reason === '' ? {} : { reason }) }
    this.#log[level]({ ...about, ...fields }, reason === '' ? what : `${what}: ${reason}`)
  }

  /** What is kept, the newest first. */
  get events(): readonly RouterEvent[] {
    return this.#ring.toSorted((one, other) => other.id - one.id)
  }

  /** How many there were of each kind, whether or not they are still kept. */
  get counts(): ReadonlyMap<EventKind, number> {
    return this.#counts
  }
}
