import { setTimeout as delay } from 'node:timers/promises'
import { RouterError } from '../../../../errors.ts'
import type { ShardPlace } from '../../added-shard.ts'
import type { ScaleDriver, ScaleOrder } from '../scale-driver.ts'
import { runExecutable } from './run-executable.ts'

/** The operator's program that makes and removes shards. */
export interface ExecScaleOptions {
  readonly program: string
  /** Of one run. */
  readonly timeoutMs: number
  /** From `create` to `ready`, and from `destroy` to `gone`. */
  readonly patienceMs: number
}

type Verb = 'create' | 'status' | 'destroy'
type State = 'creating' | 'ready' | 'destroying' | 'gone'

/** What the program may answer on its standard output, as one JSON object. */
interface Answer {
  readonly state: State
  readonly host?: string
  readonly port?: number
  readonly data_directory?: string
}

const STATES: readonly unknown[] = ['creating', 'ready', 'destroying', 'gone'] satisfies readonly State[]
/** From one question to the next: at first, and at the most. */
const FIRST_POLL_MS = 200
const LONGEST_POLL_MS = 10_000

/**
 * Servers that a program of the operator's makes and destroys. It is run once for each step, with the step as one line of
 * JSON on its standard input, and answers with one JSON object. Exit status 0 means that the answer holds; anything else
 * fails the step with what it wrote to its standard error. docs/scaling.md describes the contract.
 */
export class ExecScaleDriver implements ScaleDriver {
  readonly kind = 'exec'
  readonly #options: ExecScaleOptions

  constructor(options: ExecScaleOptions) {
    this.#options = options
  }

  async create(order: ScaleOrder, signal: AbortSignal): Promise<ShardPlace> {
    const answer = await this.#until(order, 'create', 'ready', signal)
    const { host, port = 5432, data_directory: dataDirectory = null } = answer
    if (typeof host !== 'string' || host === '' || !Number.isInteger(port)) {
      throw failure(`scaling.program said that ${order.name} is ready, and not where: "host" and "port" are missing`)
    }
    return { host, port, dataDirectory }
  }

  async destroy(order: ScaleOrder): Promise<void> {
    await this.#until(order, 'destroy', 'gone', new AbortController().signal)
  }

  async #until(order: ScaleOrder, verb: 'create' | 'destroy', wanted: State, signal: AbortSignal): Promise<Answer> {
    const deadline = performance.now() + this.#options.patienceMs
    let answer = await this.#ask(order, verb, signal)
    for (let pause = FIRST_POLL_MS; answer.state !== wanted; pause = Math.min(LONGEST_POLL_MS, pause * 1.5)) {
      signal.throwIfAborted()
      if (verb === 'create' && answer.state !== 'creating') {
        throw failure(`scaling.program said that ${order.name}, which was to be created, is ${answer.state}`)
      }
      if (performance.now() > deadline) {
        const seconds = Math.round(this.#options.patienceMs / 1000)
        throw failure(`${order.name} is still ${answer.state} after ${seconds} s (scaling.ready_timeout)`)
      }
      await delay(pause, undefined, { signal })
      answer = await this.#ask(order, 'status', signal)
    }
    return answer
  }

  async #ask(order: ScaleOrder, verb: Verb, signal: AbortSignal): Promise<Answer> {
    const { program, timeoutMs } = this.#options
    const { name, group, pool, operation, place, primary } = order
    const request = { version: 1, verb, operation, shard: name, group, pool, primary, place }
    const what = `"${verb}" of ${name}`
    let result: Awaited<ReturnType<typeof runExecutable>>
    try {
      result = await runExecutable({ program, timeoutMs, signal }, `${JSON.stringify(request)}\n`)
    } catch (error) {
      throw failure(`scaling.program cannot be run: ${error instanceof Error ? error.message : String(error)}`)
    }
    signal.throwIfAborted()
    const { status, stdout, stderr } = result
    if (status === null) throw failure(`scaling.program was ended at ${what}: it took too long, or was killed`)
    if (status !== 0) throw failure(`scaling.program ended with status ${status} at ${what}: ${said(stderr)}`)
    return readAnswer(stdout, what)
  }
}

function readAnswer(text: string, what: string): Answer {
  try {
    const answer: unknown = JSON.parse(text)
    if (typeof answer === 'object' && answer !== null && 'state' in answer && STATES.includes(answer.state)) {
      return answer as Answer
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw failure(`scaling.program answered ${what} with what is no JSON object with a known "state": ${said(text)}`)
}

function said(text: string): string {
  return text.trim().slice(0, 500) || 'it said nothing'
}

function failure(message: string): RouterError {
  return new RouterError('58000', message, { origin: 'router' })
}
