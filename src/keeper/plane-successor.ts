import type { SlotReference } from '../memory/keeper-protocol.ts'
import type { PlaneProcess } from './plane-process.ts'

/**
 * The process that is to take a plane over in order.
 *
 * - booting: started. Ends with `booted`, or with its death.
 * - booted: it waits for the plane's end. Ends with `preparing` or `activated`, or with its death.
 * - preparing: it is given connections of the plane, which still works. Ends with `prepared`, or as `booted`.
 * - prepared: it has them, and waits for the plane's end, as `booted`.
 * - activated: the plane is its. Ends with `serves`, or with its death.
 * - serving: it did what it was started for.
 * - gone: it died before that, or is not wanted any more.
 */
export type SuccessorState = 'booting' | 'booted' | 'preparing' | 'prepared' | 'activated' | 'serving' | 'gone'

const next: Record<SuccessorState, readonly SuccessorState[]> = {
  booting: ['booted', 'gone'],
  booted: ['preparing', 'activated', 'gone'],
  preparing: ['prepared', 'activated', 'gone'],
  prepared: ['activated', 'gone'],
  activated: ['serving', 'gone'],
  serving: [],
  gone: [],
}

/** One attempt to take a plane over. Watches its process until somebody supervises it: until it is activated. */
export class PlaneSuccessor {
  readonly process: PlaneProcess
  readonly #onChanged: () => void
  #state: SuccessorState = 'booting'

  constructor(process: PlaneProcess, onChanged: () => void) {
    this.process = process
    this.#onChanged = onChanged
    const gone = (): void => {
      if (this.#state !== 'serving' && this.#state !== 'gone') this.#enter('gone')
    }
    process.process.once('exit', gone)
    // Also emitted for a signal that could not be sent.
    process.process.on('error', () => {
      if (process.process.pid === undefined) gone()
    })
  }

  get state(): SuccessorState {
    return this.#state
  }

  /** It could have the plane now. */
  get isWaiting(): boolean {
    return this.#state === 'booted' || this.#state === 'preparing' || this.#state === 'prepared'
  }

  booted(): void {
    if (this.#state === 'booting') this.#enter('booted')
  }

  /** The plane has these clients at the moment. */
  prepare(clients: readonly SlotReference[]): void {
    if (this.#state !== 'booted' || clients.length === 0) return
    this.#enter('preparing')
    this.process.sendAhead(clients)
  }

  /** It has got ready for some more of them. */
  prepared(): void {
    if (this.process.prepared() && this.#state === 'preparing') this.#enter('prepared')
  }

  activated(): void {
    this.#enter('activated')
  }

  serves(): void {
    if (this.#state === 'activated') this.#enter('serving')
  }

  /** It is not wanted any more, and must not get the plane before it has ended. */
  abandon(): void {
    if (this.#state !== 'booting' && !this.isWaiting) return
    this.#enter('gone')
    this.process.hangUp()
    this.process.kill()
  }

  #enter(state: SuccessorState): void {
    if (!next[this.#state].includes(state)) throw new Error(`successor: ${state} while ${this.#state}`)
    this.#state = state
    this.#onChanged()
  }
}
