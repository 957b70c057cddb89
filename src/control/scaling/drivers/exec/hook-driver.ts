import { RouterError } from '../../../../errors.ts'
import { type Lsn, parseLsn } from '../../../../util/lsn.ts'
import type { Rejoining, ShardDriver, WalPosition } from '../shard-driver.ts'
import { type ExecutableResult, runExecutable } from './run-executable.ts'

/** The operator's program that stops, starts and promotes shards. */
export interface HookOptions {
  readonly program: string
  /** The shards that it is asked about. */
  readonly shards: ReadonlySet<string>
  /** No verb takes longer. */
  readonly timeoutMs: number
}

/** What the hook gets on its standard input, as one line of JSON. */
interface HookRequest {
  readonly verb: 'checkpoint' | 'stop' | 'start' | 'fence' | 'position' | 'promote' | 'follow' | 'rejoin' | 'streams'
  readonly shard: string
  readonly primary?: string
  readonly binDirectory?: string | null
  readonly timeoutMs?: number
}

/** What it may answer on its standard output, as JSON. Everything may be left out. */
interface HookAnswer {
  readonly isInRecovery?: boolean
  /** Positions in the log, as PostgreSQL prints them. */
  readonly received?: string
  readonly replayed?: string
  readonly cleanEnd?: string
  readonly streams?: boolean
  readonly cloned?: boolean
}

/**
 * Servers that a program of the operator's manages: it is run once for each step, with the step as JSON on its standard
 * input. Exit status 0 means done; anything else fails the operation with what it wrote to its standard error. It must be
 * able to do what is done already again.
 */
export class HookDriver implements ShardDriver {
  readonly kind = 'hook'
  readonly #options: HookOptions
  /** As `stop` answered. */
  readonly #cleanEnds = new Map<string, string>()
  readonly #binaries = new Map<string, string>()

  constructor(options: HookOptions) {
    this.#options = options
  }

  manages(shard: string): boolean {
    return this.#options.shards.has(shard)
  }

  async checkpoint(shard: string): Promise<void> {
    await this.#ask({ verb: 'checkpoint', shard })
  }

  async stop(shard: string): Promise<void> {
    const { cleanEnd } = await this.#ask({ verb: 'stop', shard })
    if (cleanEnd !== undefined) this.#cleanEnds.set(shard, cleanEnd)
  }

  use(shard: string, binDirectory: string | null): string | null {
    const before = this.#binaries.get(shard) ?? null
    if (binDirectory === null) this.#binaries.delete(shard)
    else this.#binaries.set(shard, binDirectory)
    return before
  }

  async start(shard: string): Promise<void> {
    this.#cleanEnds.delete(shard)
    await this.#ask({ verb: 'start', shard, binDirectory: this.#binaries.get(shard) ?? null })
  }

  async fence(shard: string): Promise<void> {
    await this.#ask({ verb: 'fence', shard })
  }

  async position(shard: string): Promise<WalPosition | null> {
    const { isInRecovery, received, replayed } = await this.#ask({ verb: 'position', shard })
    if (isInRecovery === undefined || received === undefined || replayed === undefined) return null
    return { isInRecovery, received: parseLsn(received), replayed: parseLsn(replayed) }
  }

  cleanEnd(shard: string): Promise<Lsn | null> {
    const text = this.#cleanEnds.get(shard)
    return Promise.resolve(text === undefined ? null : parseLsn(text))
  }

  synchronousStandbys(): Promise<string> {
    return Promise.resolve('')
  }

  /** Whatever keeps log is for `promote` and `follow` to see to. */
  prepare(): Promise<void> {
    return Promise.resolve()
  }

  async promote(shard: string): Promise<void> {
    await this.#ask({ verb: 'promote', shard })
  }

  async follow(shard: string, primary: string): Promise<void> {
    await this.#ask({ verb: 'follow', shard, primary, binDirectory: this.#binaries.get(shard) ?? null })
  }

  async rejoin(shard: string, primary: string): Promise<Rejoining> {
    const { cloned } = await this.#ask({ verb: 'rejoin', shard, primary })
    return cloned === true ? 'cloned' : 'followed'
  }

  async streams(shard: string, primary: string, timeoutMs: number): Promise<boolean> {
    const { streams } = await this.#ask({ verb: 'streams', shard, primary, timeoutMs })
    return streams !== false
  }

  async #ask(request: HookRequest): Promise<HookAnswer> {
    const { status, stdout, stderr } = await this.#run(`${JSON.stringify(request)}\n`)
    if (status !== 0) {
      const how = status === null ? 'was ended by a signal' : `ended with status ${status}`
      throw failure(
        `operations.hook ${how} at "${request.verb}" of ${request.shard}: ${stderr.trim() || 'it said nothing'}`,
      )
    }
    try {
      const answer: unknown = stdout.trim() === '' ? {} : JSON.parse(stdout)
      if (typeof answer === 'object' && answer !== null) return answer
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
    }
    throw failure(`operations.hook answered "${request.verb}" of ${request.shard} with what is no JSON object`)
  }

  async #run(input: string): Promise<ExecutableResult> {
    try {
      return await runExecutable(this.#options, input)
    } catch (error) {
      throw failure(`operations.hook cannot be run: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}

function failure(message: string): RouterError {
  return new RouterError('58000', message, { origin: 'router' })
}
