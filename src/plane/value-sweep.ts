import { addSessionReferences, type RecordMemory } from '../client/session-references.ts'
import { CLIENT, CLIENT_STATE } from '../memory/client-slots.ts'
import { SERVER, SERVER_STATE } from '../memory/server-slots.ts'
import type { StepLog } from '../memory/step-log.ts'
import type { LogFields } from '../server/server-host.ts'
import { addServerReferences } from '../server/server-references.ts'

/** It takes some milliseconds, in which nobody is served: where it has made little room, the next one comes later. */
const PAUSE_MS = 10_000

/**
 * Makes room in the plane's value store when there is little left: what no client and no server connection of this plane is
 * written down with may be written over.
 */
export class ValueSweep {
  readonly #memory: RecordMemory
  readonly #planeIndex: number
  readonly #log: StepLog
  readonly #warn: (message: string, fields: LogFields) => void
  #nextAt = 0
  /** It has been said that there is little room, and is so still. */
  #hasWarned = false

  /** `warn` is told once when a sweep leaves little room, and again only if there was room in between. */
  constructor(
    memory: RecordMemory,
    planeIndex: number,
    log: StepLog,
    warn: (message: string, fields: LogFields) => void,
  ) {
    this.#warn = warn
    this.#memory = memory
    this.#planeIndex = planeIndex
    this.#log = log
  }

  /** Whether it is time to `run`. */
  isDue(now: number): boolean {
    return this.#memory.store.isCrowded && now >= this.#nextAt
  }

  /** Everything must be committed, and no step begun. */
  run(now: number): void {
    const { clients, servers, store } = this.#memory
    const { committed } = this.#log
    const ids = new Set<number>()
    for (let slot = 0; slot < clients.count; slot++) {
      const i = slot * (clients.recordBytes >> 2)
      if (clients.i32[i + CLIENT.state] === CLIENT_STATE.free) continue
      if (clients.i32[i + CLIENT.plane] === this.#planeIndex) addSessionReferences(this.#memory, slot, committed, ids)
    }
    for (let slot = 0; slot < servers.count; slot++) {
      const i = slot * (servers.recordBytes >> 2)
      if (servers.i32[i + SERVER.state] === SERVER_STATE.free && servers.i32[i + SERVER.abandoned] !== 1) continue
      if (servers.i32[i + SERVER.plane] === this.#planeIndex) addServerReferences(this.#memory, slot, committed, ids)
    }
    ids.delete(0)
    store.sweep(ids)
    this.#nextAt = store.isScarce ? now + PAUSE_MS : now
    if (store.isScarce && !this.#hasWarned) {
      this.#warn('little room for what sessions are written down with', {
        freeBytes: store.room,
        usedBytes: store.bytesInUse,
        reason:
          'sessions that find none end with their plane process: raise limits.buffer_memory, an eighth of which it is',
      })
    }
    this.#hasWarned = store.isScarce
  }
}
