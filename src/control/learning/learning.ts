import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BadModel, type ModelFile, TierModel } from '../../analyzer/tier-model.ts'
import type { Config } from '../../config/schema.ts'
import type { Logger } from '../../log.ts'
import type { SharedState } from '../../memory/shared-state.ts'
import type { ModelValue } from '../../shard/model-value.ts'
import { BackendWatch, type BackendWatchOptions } from './backend-watch.ts'
import { type DriftReport, DriftWatch } from './drift.ts'
import { HistoryRecorder } from './history-recorder.ts'
import { loadIdentities, saveIdentities } from './identity-archive.ts'
import { ModelStore } from './model-store.ts'
import { RoleWatch } from './role-watch.ts'

const LOOK_MS = 5_000
const SAVE_MS = 60_000
const WATCH_MS = 2_000

/** What administration may know of the analyzer. */
export interface AnalyzerState {
  /** That planes have been given; null: none. */
  readonly model: TierModel | null
  readonly drift: DriftReport
}

/** What learning looks at, and who is told of a new model. */
export interface LearningOptions {
  readonly memory: SharedState
  readonly dataDirectory: string
  readonly config: () => Config
  /** Milliseconds since 1970. */
  readonly wallClock: () => number
  /** Null: no model is to be asked. */
  readonly publish: (model: ModelValue | null) => void
  readonly shards: BackendWatchOptions['shards']
  readonly ask: BackendWatchOptions['ask']
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly log: Logger
}

/**
 * What control does for the analyzer while the router runs: it writes the history, hands models to planes when another one
 * is promoted, watches for drift, finds what server processes use and what roles may do, and keeps the profiles of
 * identities over restarts.
 */
export class Learning {
  readonly drift: DriftWatch
  readonly #options: LearningOptions
  readonly #store: ModelStore
  readonly #recorder: HistoryRecorder
  readonly #backends: BackendWatch
  readonly #roles: RoleWatch
  readonly #identityFile: string
  #model: TierModel | null = null
  #stamp: string | null = null
  #file: ModelFile | null = null
  #isSuspended = false
  #timers: NodeJS.Timeout[] = []

  constructor(options: LearningOptions) {
    this.#options = options
    const { memory, dataDirectory, wallClock, log } = options
    this.#store = new ModelStore(dataDirectory)
    this.#identityFile = join(dataDirectory, 'identities.json')
    this.drift = new DriftWatch(log)
    this.#backends = new BackendWatch(options)
    this.#roles = new RoleWatch(options)
    this.#recorder = new HistoryRecorder({
      memory,
      directory: join(dataDirectory, 'history'),
      now: wallClock,
      bounds: () => {
        const { historySizeBytes, historyAgeMs } = options.config().analyzer
        return { mostBytes: historySizeBytes, mostAgeMs: historyAgeMs }
      },
      onRow: (row) => this.drift.observe(row),
      log,
    })
  }

  /** The model that planes have been given. */
  get model(): TierModel | null {
    return this.#model
  }

  /** `isFirst`: no plane has used the memory yet, so identities of an earlier run may be put there. */
  start(isFirst: boolean): void {
    if (isFirst) this.#restoreIdentities()
    this.look()
    this.#recorder.start()
    const look = (): void => {
      this.look()
      this.#heedDrift()
    }
    this.#timers = [
      this.#every(LOOK_MS, look),
      this.#every(SAVE_MS, () => this.#saveIdentities()),
      this.#every(WATCH_MS, () => this.#backends.look()),
      this.#every(WATCH_MS, () => this.#roles.look()),
    ]
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer)
    this.#recorder.stop()
    this.#saveIdentities()
  }

  /** Hands another model to the planes if one was promoted. One that is no good is not, and the last good one stays. */
  look(): void {
    const stamp = this.#store.stamp()
    if (stamp === this.#stamp) return
    this.#stamp = stamp
    const { log, publish } = this.#options
    try {
      const found = this.#store.current()
      if (found === null) return
      this.#model = TierModel.open(found.file)
      this.drift.use(this.#model)
      this.#file = found.file
      this.#isSuspended = false
      publish(found.file as unknown as ModelValue)
      log.info({ model: this.#model.hash.slice(0, 8), file: found.path }, 'the tier model is in use')
    } catch (error) {
      const reason = error instanceof BadModel ? error.message : String(error)
      log.error({ reason }, 'the tier model is refused, and the one before it goes on')
    }
  }

  /** With `on_drift = "rules"` nobody asks a model that was made for another world. */
  #heedDrift(): void {
    const isLost = this.#options.config().analyzer.onDrift === 'rules' && this.drift.report().state === 'alarm'
    if (isLost === this.#isSuspended || this.#file === null) return
    this.#isSuspended = isLost
    this.#options.publish(isLost ? null : (this.#file as unknown as ModelValue))
    this.#options.log.warn(isLost ? 'the tier model is not asked while it drifts' : 'the tier model is asked again')
  }

  /** Work that has not ended yet is not begun again. */
  #every(milliseconds: number, work: () => void | Promise<void>): NodeJS.Timeout {
    let isAtWork = false
    const begin = async (): Promise<void> => {
      if (isAtWork) return
      isAtWork = true
      try {
        await work()
      } catch (error) {
        this.#options.log.error({ err: error }, 'the analyzer could not do its round')
      } finally {
        isAtWork = false
      }
    }
    return setInterval(() => void begin(), milliseconds).unref()
  }

  #restoreIdentities(): void {
    try {
      loadIdentities(this.#options.memory, readFileSync(this.#identityFile, 'utf8'), this.#options.wallClock())
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      this.#options.log.warn({ err: error }, 'profiles of identities could not be read; they begin anew')
    }
  }

  #saveIdentities(): void {
    try {
      writeFileSync(this.#identityFile, saveIdentities(this.#options.memory, this.#options.wallClock()), {
        mode: 0o600,
      })
    } catch (error) {
      this.#options.log.warn({ err: error }, 'profiles of identities could not be saved')
    }
  }
}
