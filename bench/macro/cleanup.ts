import { setTimeout as delay } from 'node:timers/promises'

/** Why everything is being stopped: a signal. */
export class Interrupted extends Error {}

/** Something that was started and must be stopped: `stop` is called at most once. */
interface Started {
  readonly name: string
  readonly stop: () => Promise<void> | void
  readonly kill: () => unknown
}

/**
 * Everything a benchmark has started, stopped in reverse order by `stopAll`. While it lives, SIGINT, SIGTERM and SIGHUP abort
 * `signal`, so that whatever is waiting rejects and the benchmark's own `finally` runs `stopAll`; a second signal, or an
 * exit that skipped `stopAll`, kills the processes at once, by id.
 */
export class Cleanup {
  readonly #started: Started[] = []
  readonly #abort = new AbortController()
  #interruptedAt = 0
  readonly #onSignal = (name: NodeJS.Signals): void => {
    const now = performance.now()
    if (this.#abort.signal.aborted) {
      // npm passes Ctrl-C on to a process that the terminal has told already: that is one wish, not two.
      if (now - this.#interruptedAt > 1000) process.exit(130)
      return
    }
    this.#interruptedAt = now
    console.error(`${name}: stopping what was started; once more to kill it`)
    this.#abort.abort(new Interrupted(`interrupted by ${name}`))
  }
  readonly #onExit = (): void => {
    for (const started of this.#started.toReversed()) started.kill()
  }

  constructor() {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, this.#onSignal)
    process.on('exit', this.#onExit)
  }

  /** Aborted by the first signal. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /**
   * Remembers something to stop. `kill` is the last resort: synchronous, and must not throw.
   * Returns a function that stops it now and forgets it.
   */
  add(name: string, stop: () => Promise<void> | void, kill: () => unknown = () => {}): () => Promise<void> {
    const started: Started = { name, stop, kill }
    this.#started.push(started)
    return async () => {
      const at = this.#started.indexOf(started)
      if (at < 0) return
      await started.stop()
      this.#started.splice(this.#started.indexOf(started), 1)
    }
  }

  /** Stops everything, last started first. One that fails is reported and killed; the others are stopped all the same. */
  async stopAll(): Promise<void> {
    for (let started = this.#started.at(-1); started !== undefined; started = this.#started.at(-1)) {
      try {
        await started.stop()
      } catch (error) {
        console.error(`could not stop ${started.name}, killing it: ${error instanceof Error ? error.message : error}`)
        started.kill()
      }
      this.#started.pop()
    }
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, this.#onSignal)
    process.off('exit', this.#onExit)
  }
}

/** Sends a signal to a process that may be gone already. True: it was there. */
export function signalProcess(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false
    throw error
  }
}

/** Polls until `condition` holds. Rejects after `timeoutMs` with a sentence that names `what`, or when `signal` aborts. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  options: { timeoutMs: number; everyMs?: number; signal?: AbortSignal },
): Promise<void> {
  const deadline = performance.now() + options.timeoutMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`${what} did not happen within ${options.timeoutMs / 1000} s`)
    await delay(options.everyMs ?? 20, undefined, options.signal === undefined ? {} : { signal: options.signal })
  }
}
