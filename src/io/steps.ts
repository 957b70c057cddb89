import type { StepLog } from '../memory/step-log.ts'
import type { BufferArena } from './buffer-arena.ts'

/**
 * Where a plane may be made to die, in tests: with bytes received and not taken note of; with everything written down but
 * for the commit; right after that; with a part of the sends made; with all of them made and not taken note of.
 */
export const CRASH_POINTS = ['received', 'commit', 'committed', 'sending', 'sent'] as const
export type CrashPoint = (typeof CRASH_POINTS)[number]

/** Makes a process die at an instant of a test's choice. */
export interface Crash {
  isDue(point: CrashPoint): boolean
  die(): void
}

const NO_EVENT = 0

/** Whoever has a section in shared memory that a step has to write. */
export interface StepParticipant {
  /** A step has touched it; only `Steps` writes it. */
  isTouched: boolean
  /** The event that touched it last. */
  touchedIn: number
  /** Writes its section with this stamp. `isTorn`: it is in the middle of something, and could not go on from there. */
  save(stamp: number, isTorn: boolean): void
}

/**
 * A wake-up of the reactor is a step: what it reads stays where it landed, and what it writes is held back, until all that
 * it has touched is written down and one store makes it count. See docs/design/0015.
 *
 * Where too much is held back a step is committed early, in the middle of an event; then whoever that event has touched is
 * torn until the next commit, which is a few microseconds later.
 */
export class Steps {
  readonly #log: StepLog | null
  readonly #arena: BufferArena
  readonly #crash: Crash | null
  /** The first `#count` of them; the rest is null, because V8 sets an array's length through its runtime. */
  #touched: (StepParticipant | null)[] = []
  #spare: (StepParticipant | null)[] = []
  #count = 0
  #event = 1

  /**
   * `log` null: nothing outlives this process. `arena`: where buffers are given back after a commit. `crash`: in tests.
   */
  constructor(log: StepLog | null, arena: BufferArena, crash: Crash | null) {
    this.#log = log
    this.#arena = arena
    this.#crash = crash
  }

  get isQuiet(): boolean {
    return this.#count === 0
  }

  /** What follows is another event. */
  next(): void {
    this.#event++
  }

  /** `participant` has something to write down. */
  touch(participant: StepParticipant): void {
    participant.touchedIn = this.#event
    if (participant.isTouched) return
    participant.isTouched = true
    this.#touched[this.#count++] = participant
  }

  /** The same for somebody who is whole, whatever becomes of the event that is being served. */
  touchAside(participant: StepParticipant): void {
    if (participant.isTouched) return
    this.touch(participant)
    participant.touchedIn = NO_EVENT
  }

  /** It has received something. */
  received(participant: StepParticipant): void {
    this.touch(participant)
    if (this.#crash !== null) this.crashIf('received')
  }

  /** Into `buffer` is read what comes next for the connection with this `slotMark`, of which `before` bytes were read. */
  noteRead(buffer: number, mark: number, before: number): void {
    this.#log?.noteRead(buffer, mark, before)
  }

  noteSend(at: number, mark: number, offset: number, bytes: number): void {
    this.#log?.noteSend(at, mark, offset, bytes)
  }

  /** All that was touched is written, and counts. `isBoundary`: no event is being served. */
  commit(sends: number, isBoundary: boolean): void {
    const log = this.#log
    if (log === null) {
      this.#forget()
      return
    }
    const stamp = log.committed + 1
    const touched = this.#touched
    const count = this.#count
    this.#touched = this.#spare
    this.#count = 0
    for (let at = 0; at < count; at++) {
      const participant = touched[at] as StepParticipant
      const isTorn = !isBoundary && participant.touchedIn === this.#event
      participant.save(stamp, isTorn)
      participant.isTouched = isTorn
      if (isTorn) this.#touched[this.#count++] = participant
      touched[at] = null
    }
    this.#spare = touched
    if (this.#crash !== null) this.crashIf('commit')
    log.commit(sends)
    if (this.#crash !== null) this.crashIf('committed')
  }

  #forget(): void {
    for (let at = 0; at < this.#count; at++) {
      ;(this.#touched[at] as StepParticipant).isTouched = false
      this.#touched[at] = null
    }
    this.#count = 0
  }

  /** Reads are with the kernel, and how much they have taken is not counted yet. */
  reading(isReading: boolean): void {
    this.#log?.reading(isReading)
  }

  /** Sends are with the kernel, and nobody knows yet what became of them. */
  sending(): void {
    this.#log?.sending(true)
  }

  /** True: only a part of the sends shall be made before `die`. */
  get diesWhileSending(): boolean {
    return this.#crash?.isDue('sending') === true
  }

  die(): void {
    this.#crash?.die()
  }

  crashIf(point: CrashPoint): void {
    if (this.#crash?.isDue(point) === true) this.#crash.die()
  }

  /** All that was held back is with the kernel or waits for its peers. */
  sent(isBoundary: boolean): void {
    if (this.#crash !== null) this.crashIf('sent')
    // Bytes that a peer did not take lie in its outbox now, and nowhere else when the next step begins.
    if (!this.isQuiet) this.commit(0, isBoundary)
    this.#log?.sending(false)
    this.#log?.begin()
    this.#arena.settle()
  }
}
