import type { ParameterSet } from '../session/parameters.ts'
import { PinnedMover } from './pinned-mover.ts'
import type { Plane } from './plane.ts'

/** Databases that control is asked about in one second at most, because they are in use. */
const MOST_QUESTIONS = 4

/** What a plane does once a second, beside whatever its connections want. */
export class PlaneUpkeep {
  readonly #plane: Plane
  readonly #mover: PinnedMover

  constructor(plane: Plane) {
    this.#plane = plane
    this.#mover = new PinnedMover(plane)
  }

  run(): void {
    const { poolSet, listeners, analyzer, record, arena, store, parameters, now } = this.#plane
    poolSet.maintain(now)
    for (const pool of poolSet.all) pool.reroute()
    listeners.maintain(now)
    analyzer.tick(now)
    this.#mover.look()
    this.#attend()
    record.set('buffersInUse', arena.buffersInUse)
    record.set('bufferBytesInUse', arena.bytesInUse)
    record.set('valueBytesInUse', store.bytesInUse)
    if (parameters.crowded) parameters.sweep(this.#usedParameters())
  }

  /** What databases call unseen has to be known as long as they are used. */
  #attend(): void {
    const { poolSet, catalogues, now } = this.#plane
    let asked = 0
    for (const { size, target, welcome } of poolSet.all) {
      if (size > 0 && welcome !== null && catalogues.attend(target, now) && ++asked === MOST_QUESTIONS) return
    }
  }

  /** The settings that somebody has, or may get without asking for them. */
  #usedParameters(): Set<ParameterSet> {
    const { acceptedSettings, sessions, poolSet } = this.#plane
    const used = new Set<ParameterSet>(acceptedSettings.values())
    sessions.collectParameters(used)
    for (const pool of poolSet.all) {
      if (pool.welcome) used.add(pool.welcome.baseline)
      for (const server of pool.servers) used.add(server.parameters).add(server.baseline)
    }
    return used
  }
}
