import type { Logger } from '../log.ts'
import type { PlaneProcess } from './plane-process.ts'
import { type ChildState, SupervisedChild } from './supervised-child.ts'

/** A plane serves for so long before its standby is started: the first clients have the processors for themselves. */
const STANDBY_DELAY_MS = 500
/** One that is out of date ends so much later: its end takes a processor tens of milliseconds, which others need now. */
const OUTDATED_MS = 1000

/** How standbys are started, and who hears of them. */
export interface PlaneStandbyOptions {
  /** For people: `plane 0 (standby)`. */
  readonly name: string
  readonly boot: () => PlaneProcess
  readonly onChanged: () => void
  readonly onEnded: () => void
  readonly log: Logger
  readonly now: () => number
}

/** The process that waits for a plane's end, and its successor when it dies or is taken. */
export class PlaneStandby {
  readonly #child: SupervisedChild
  #waiting: PlaneProcess | null = null
  #timer: NodeJS.Timeout | null = null
  #outdated: { readonly process: PlaneProcess; readonly timer: NodeJS.Timeout } | null = null

  constructor(options: PlaneStandbyOptions) {
    this.#child = new SupervisedChild({
      name: options.name,
      // The router does without one.
      attempts: Number.POSITIVE_INFINITY,
      log: options.log,
      now: options.now,
      hooks: {
        spawn: () => {
          this.#waiting = options.boot()
          return this.#waiting.process
        },
        died: () => {
          this.#waiting?.hangUp()
          this.#waiting = null
        },
        gaveUp: () => {},
        ended: options.onEnded,
        changed: options.onChanged,
      },
    })
  }

  get state(): ChildState {
    return this.#child.state
  }

  /** The process, booted or not, which is the caller's from here on; null when there is none. */
  take(): PlaneProcess | null {
    this.#stopTimer()
    const process = this.#waiting
    this.#waiting = null
    if (this.#child.state !== 'ended') this.#child.giveAway()
    return process
  }

  /** This process has booted. */
  booted(process: PlaneProcess): void {
    if (process === this.#waiting) this.#child.ready()
  }

  /** There shall be one, in a moment. */
  startSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      if (this.#child.state === 'idle') this.#child.start()
    }, STANDBY_DELAY_MS)
  }

  /** In place of the present one, which may be of another version, there shall be another one in a moment. */
  renew(): void {
    this.#endOutdated()
    const process = this.take()
    if (process !== null) this.#outdated = { process, timer: setTimeout(() => this.#endOutdated(), OUTDATED_MS) }
    if (this.#child.state !== 'ended') this.startSoon()
  }

  /** It may end now, and finally. */
  end(): void {
    this.#stopTimer()
    this.#endOutdated()
    this.#child.stop()
    this.#waiting?.hangUp()
  }

  kill(): void {
    this.#endOutdated()
    this.#child.kill()
  }

  #endOutdated(): void {
    if (this.#outdated === null) return
    const { process, timer } = this.#outdated
    this.#outdated = null
    clearTimeout(timer)
    process.hangUp()
    process.kill()
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}
