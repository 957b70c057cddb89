import { type Control, composeControl } from '../compose-control.ts'
import type { Environment } from '../config/environment.ts'
import { untilAnswering } from '../control/answering-check.ts'
import { KeeperLine } from '../control/keeper-line.ts'
import { LocalClusterError } from '../control/scaling/drivers/local/local-cluster-error.ts'
import { UpgradeLine } from '../control/upgrade-line.ts'
import { welcomeText } from '../control/welcome.ts'
import { ConfigError } from '../errors.ts'
import type { StandingOrder, StartOrder, StopMode } from '../memory/keeper-control-protocol.ts'
import { monotonicMs } from '../util/monotonic-clock.ts'
import { VERSION } from '../version.ts'
import { restartKeeper } from './keeper-restart.ts'

/** Where the keeper puts a child's inheritance. */
const CHANNEL_FD = 3
const MEMORY_FD = 4

/** Beyond the drain deadline: our own servers stop in this time. */
const SHARDS_STOP_MS = 60_000
const ANSWERING_MS = 30_000

export interface ControlContext {
  readonly environment: Environment
  readonly pid: number
  readonly setTitle: (title: string) => void
  readonly logDestination: number
  /** Standard output. */
  readonly write: (text: string) => void
  /** Standard error. */
  readonly complain: (text: string) => void
  readonly exit: (code: number) => never
}

/** `switchyard control`, started by the keeper only: does what it orders until it orders the end. Returns an exit code. */
export function control(context: ControlContext): Promise<number> {
  context.setTitle('switchyard: control')
  return new Promise((resolve) => {
    let life: ControlLife | null = null
    const line: KeeperLine = new KeeperLine(CHANNEL_FD, {
      onOrder: (order) => {
        if (order.op === 'start') life = new ControlLife(context, order, line, resolve)
        else life?.obey(order)
      },
      // The keeper died. Planes and servers of our own run on, for the next one to find.
      onLost: () => {
        if (life?.isStopping === false) restartKeeper(life.runDirectory, context.environment)
        context.exit(1)
      },
    })
  })
}

/**
 * One control process from the keeper's first order to its last.
 *
 * - starting: everything is built. Ends with success, with a mistake that ends the router, or with `stop`, which aborts.
 * - serving: orders are carried out.
 * - stopping: clients are drained, then everything is closed. A second, more urgent `stop` shortens the drain.
 */
class ControlLife {
  readonly #context: ControlContext
  readonly #order: StartOrder
  readonly #line: KeeperLine
  readonly #finish: (code: number) => void
  readonly #abort = new AbortController()
  readonly #started: Promise<Control | null>
  readonly #upgrades: UpgradeLine
  #isStopping = false
  #isClosing = false

  constructor(context: ControlContext, order: StartOrder, line: KeeperLine, finish: (code: number) => void) {
    this.#context = context
    this.#order = order
    this.#line = line
    this.#finish = finish
    this.#upgrades = new UpgradeLine((report) => line.report(report), order.upgradeStatus)
    this.#started = this.#start()
  }

  get isStopping(): boolean {
    return this.#isStopping
  }

  get runDirectory(): string {
    return this.#order.runDirectory
  }

  obey(order: StandingOrder): void {
    switch (order.op) {
      case 'reload':
        this.#reload()
        return
      case 'stop':
        this.#stop(order.mode, order.reason)
        return
      case 'leave':
        this.#leave()
        return
      case 'upgrade-answer':
        this.#upgrades.answer(order.id, order.refused)
        return
      case 'upgrade-status':
        this.#upgrades.status = order.text
    }
  }

  /** Planes go on with what they have, local servers run on: a successor takes it from there. */
  #leave(): void {
    this.#isStopping = true
    this.#abort.abort(new Error('a successor waits'))
    // On a later turn of the event loop, so that the answer to a console that wanted this can go first.
    setImmediate(() => {
      void this.#started.then(async (running) => {
        await running?.leave()
        this.#finish(0)
      })
    })
  }

  #reload(): void {
    void this.#started.then(async (running) => {
      if (running === null || this.#isStopping) return
      try {
        await running.router.reload()
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        running.log.error(`not reloaded, everything stays as it was: ${error.message}`)
      }
    })
  }

  #stop(mode: StopMode, reason: string): void {
    const isFirst = !this.#isStopping
    this.#isStopping = true
    this.#abort.abort(new Error(reason))
    void this.#started.then(async (running) => {
      if (running === null) {
        if (isFirst) await this.#end(0)
        return
      }
      const deadlineMs = drainDeadline(mode, running)
      const awaited = mode === 'wait-for-clients' ? 'clients' : 'transactions'
      const shardsMs = running.source.cluster === null ? 0 : SHARDS_STOP_MS
      this.#line.report({ op: 'stopping', deadlineMs: deadlineMs === null ? null : deadlineMs + shardsMs })
      // Each drain ends when nobody is left or its own deadline has passed: the most urgent one decides.
      await running.router.drain(awaited, deadlineMs)
      if (this.#isClosing) return
      this.#isClosing = true
      this.#line.report({ op: 'planes-exit' })
      await running.close(this.#order.keepShards)
      await this.#end(0)
    })
  }

  /** Null when it did not come to that: aborted, or the router cannot run and the keeper knows. */
  async #start(): Promise<Control | null> {
    const { environment, pid, logDestination } = this.#context
    try {
      const running = await composeControl(
        {
          environment,
          order: this.#order,
          memoryFd: MEMORY_FD,
          pid,
          logDestination,
          requestStop: (mode, reason) => this.#line.report({ op: 'stop-please', mode, reason }),
          upgrades: this.#upgrades,
        },
        this.#abort.signal,
      )
      this.#line.report({ op: 'ready' })
      if (this.#order.first) void this.#welcome(running)
      else running.log.info('control is back')
      return running
    } catch (error) {
      if (this.#abort.signal.aborted) return null
      const isForOperator = error instanceof ConfigError || error instanceof LocalClusterError
      // A router that already serves is not ended for it; the keeper tries again.
      if (!isForOperator || !this.#order.first) throw error
      this.#context.complain(`${error.message}\n`)
      await this.#end(1)
      return null
    }
  }

  async #welcome({ source: { cluster }, router, httpUrl, log }: Control): Promise<void> {
    const { listening, startedAt, dataDirectory, keepShards } = this.#order
    const place = listening[0]
    if (place !== undefined) {
      const login =
        cluster === null ? null : { user: cluster.superuser, password: cluster.password, database: 'postgres' }
      const failure = await untilAnswering(place, login, { timeoutMs: ANSWERING_MS, signal: this.#abort.signal })
      if (this.#abort.signal.aborted) return
      if (failure !== null) {
        log.error({ reason: failure, troubles: router.troubles() }, `the router does not answer: ${failure}`)
        return
      }
    }
    const text = welcomeText({
      version: VERSION,
      listening,
      httpUrl,
      dataDirectory,
      readyAfterMs: monotonicMs() - startedAt,
      cluster: cluster === null ? null : { ...cluster, postgresVersion: cluster.version, keepShards },
    })
    this.#context.write(text)
  }

  async #end(code: number): Promise<void> {
    await this.#line.reportLast({ op: 'exit', code })
    this.#finish(code)
  }
}

/** Null: however long it takes. */
function drainDeadline(mode: StopMode, { router }: Control): number | null {
  const { drainMs } = router.config.timeouts
  if (mode === 'immediate') return 0
  return mode !== 'drain' || drainMs === 0 ? null : drainMs
}
