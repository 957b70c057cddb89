import type { NiceOutcome } from '../io/cpu-share.ts'

/** A third of the share of one that serves, where both want the same processor: much less, and a busy machine would have no standby for long. */
const BOOT_NICE = 5
/** In an upgrade planes are replaced meanwhile. */
const FIRST_WORK_MS = 5_000
/** The kernel lets who is not root change ten a second. */
const RETRY_MS = 100

/**
 * Processes that boot while others serve take what those leave of the processors: Node compiles with several threads at once, and
 * where there are two processors, clients waited for them longer than for the take-over itself.
 */
export class BootShare {
  readonly #setNice: (pid: number, nice: number) => NiceOutcome
  readonly #yielding = new Set<number>()

  constructor(setNice: (pid: number, nice: number) => NiceOutcome) {
    this.#setNice = setNice
  }

  /** The process boots, and nobody waits for it yet. It has to be in a session of its own. */
  yield(pid: number | undefined): void {
    if (pid !== undefined && this.#setNice(pid, BOOT_NICE) === 'done') this.#yielding.add(pid)
  }

  /** Somebody waits for the process from now on. Harmless for one that never yielded. */
  restore(pid: number | undefined): void {
    if (pid === undefined || !this.#yielding.delete(pid)) return
    if (this.#setNice(pid, 0) !== 'later') return
    this.#yielding.add(pid)
    setTimeout(() => this.restore(pid), RETRY_MS)
  }

  /** The same when it has been at work for a moment: nobody waits for it, and its first work is the slowest. */
  restoreLater(pid: number | undefined): void {
    setTimeout(() => this.restore(pid), FIRST_WORK_MS).unref()
  }

  /** It has ended; its number may be another one's. */
  forget(pid: number | undefined): void {
    if (pid !== undefined) this.#yielding.delete(pid)
  }
}
