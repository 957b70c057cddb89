import type { ShardRole } from '../../shard/topology.ts'
import type { EventLevel, EventSink } from '../events/event-log.ts'
import type { Health, HealthState } from './health-state.ts'

const LEVELS: Partial<Record<HealthState, EventLevel>> = { suspect: 'warn', overloaded: 'warn', down: 'error' }

/** What operators are told of one shard as its monitor sees it. */
export class ShardEvents {
  readonly #shard: string
  readonly #sink: EventSink

  constructor(shard: string, sink: EventSink) {
    this.#shard = shard
    this.#sink = sink
  }

  /** Its server has been another one until `startedAt`, as PostgreSQL writes it. */
  restarted(startedAt: string): void {
    const reason = `its server started at ${startedAt}`
    const what = `${this.#shard} was restarted`
    this.#sink.publish({ kind: 'health', level: 'warn', shard: this.#shard, what, reason })
  }

  /** `version` null: nobody has asked for it. */
  became(role: ShardRole, was: ShardRole, version: string | null): void {
    const name = this.#shard
    const what = was === 'unknown' ? `${name} is a ${role}` : `${name} is now a ${role}, it was a ${was}`
    const fields = { role, ...(version === null ? {} : { version }) }
    this.#sink.publish({ kind: 'role', shard: name, what, fields })
  }

  /** Nothing is said where only a reason has changed, unless it is why the shard is down. */
  health(before: Health, { state, reason }: Health): void {
    if (state === before.state && (state !== 'down' || reason === before.reason)) return
    const name = this.#shard
    const what = `${name} is ${state}${state === 'up' && before.state !== 'unknown' ? ' again' : ''}`
    this.#sink.publish({ kind: 'health', level: LEVELS[state] ?? 'info', shard: name, what, reason })
  }
}
