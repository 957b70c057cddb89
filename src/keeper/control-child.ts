import { type ChildProcess, spawn } from 'node:child_process'
import type { Duplex } from 'node:stream'
import type { Logger } from '../log.ts'
import { type ControlReport, encodeLine, type KeeperOrder, LineDecoder } from '../memory/keeper-control-protocol.ts'
import type { BootShare } from './boot-share.ts'
import { ChangeWatch } from './change-watch.ts'
import type { Replacement } from './plane-replacement.ts'
import type { Program } from './program.ts'
import { SupervisedChild } from './supervised-child.ts'

/** How the control process is started, and who hears of it. */
export interface ControlChildOptions {
  readonly program: Program
  /** Program and arguments of a control process. */
  readonly command: (program: Program) => readonly [string, ...string[]]
  readonly environment: NodeJS.ProcessEnv
  readonly memoryFd: number
  /** The first line for each life. */
  readonly startOrder: (first: boolean) => KeeperOrder
  readonly bootShare: BootShare
  readonly onReport: (report: ControlReport) => void
  /** It died and nobody comes after it. */
  readonly onEnded: () => void
  readonly onGaveUp: (description: string) => void
  readonly log: Logger
  readonly now: () => number
}

/** What control needs to close its doors. */
const LEAVE_MS = 3_000
/** It reads its configuration and probes shards in a fraction of this. */
const START_MS = 30_000

/** The control process and the lines to and from it. Planes go on without it, so its deaths only delay orders. */
export class ControlChild {
  readonly #options: ControlChildOptions
  readonly #child: SupervisedChild
  readonly #watch = new ChangeWatch()
  #program: Program
  #channel: Duplex | null = null
  #lives = 0
  /** The next one is wanted in good order, so it has time; after a crash it is missed. */
  #isReplacing = false

  constructor(options: ControlChildOptions) {
    this.#options = options
    this.#program = options.program
    this.#child = new SupervisedChild({
      name: 'control',
      log: options.log,
      now: options.now,
      hooks: {
        spawn: () => this.#spawn(),
        died: () => {
          this.#channel?.destroy()
          this.#channel = null
        },
        gaveUp: options.onGaveUp,
        ended: options.onEnded,
        changed: () => this.#watch.changed(),
      },
    })
  }

  get pid(): number | null {
    return this.#child.pid
  }

  get isEnded(): boolean {
    return this.#child.state === 'ended'
  }

  /** Nobody comes after it. */
  get #isEnding(): boolean {
    return this.#child.state === 'stopping' || this.isEnded
  }

  start(): void {
    this.#child.start()
  }

  /** False when there is no control process to hear it. */
  send(order: KeeperOrder): boolean {
    if (this.#channel === null) return false
    this.#channel.write(encodeLine(order))
    return true
  }

  /**
   * Its work is given to a process of `program`. Planes and clients do not notice; console and HTTP are closed in between. When
   * that one does not come up, one of the program of before does.
   */
  async replace(program: Program): Promise<Replacement> {
    const before = this.#program
    const state = () => this.#child.state
    const refused = (reason: string): Replacement => ({
      replaced: false,
      reason: `control was not replaced: ${reason}`,
    })
    // It may have been replaced for another reason a moment ago.
    await this.#watch.until(() => state() === 'running' || this.#isEnding, START_MS)
    if (this.#isEnding) return refused('the router is stopping.')
    if (state() !== 'running') return refused(`it is ${state()}.`)
    this.#program = program
    this.send({ op: 'leave' })
    this.#isReplacing = true
    this.#child.release()
    if (!(await this.#watch.until(() => state() !== 'releasing', LEAVE_MS))) this.kill()
    await this.#watch.until(() => state() !== 'releasing', LEAVE_MS)
    this.#isReplacing = false
    await this.#watch.until(() => state() !== 'releasing' && state() !== 'starting', START_MS)
    if (state() === 'running') return { replaced: true }
    this.#program = before
    if (this.#isEnding) return refused('the router is stopping.')
    if (state() === 'starting') this.kill()
    const isBack = await this.#watch.until(() => state() === 'running', START_MS)
    return refused(
      `the new process did not come up; ${isBack ? 'one of the version before runs again.' : 'none runs at the moment.'}`,
    )
  }

  /** It ends, and leaves everything as it is. */
  async leave(): Promise<void> {
    this.send({ op: 'leave' })
    this.#child.stop()
    if (await this.#watch.until(() => this.isEnded, LEAVE_MS)) return
    this.kill()
    await this.#watch.until(() => this.isEnded, LEAVE_MS)
  }

  /** It will end by itself, and finally. */
  expectEnd(): void {
    this.#child.stop()
  }

  kill(): void {
    this.#child.kill()
  }

  #spawn(): ChildProcess {
    const { command, environment, memoryFd, startOrder } = this.#options
    const [program, ...parameters] = command(this.#program)
    const child = spawn(program, parameters, {
      // A session of its own: Ctrl-C in the terminal is for the keeper.
      detached: true,
      env: environment,
      stdio: ['ignore', 'inherit', 'inherit', 'pipe', memoryFd],
    })
    const channel = child.stdio[3] as Duplex
    this.#channel = channel
    const decoder = new LineDecoder<ControlReport>()
    channel.setEncoding('utf8')
    channel.on('data', (chunk: string) => this.#onData(decoder, chunk))
    // The death that breaks the channel is reported by the process itself.
    channel.on('error', () => {})
    const { bootShare } = this.#options
    if (this.#isReplacing) bootShare.yield(child.pid)
    child.once('exit', () => bootShare.forget(child.pid))
    this.#lives++
    channel.write(encodeLine(startOrder(this.#lives === 1)))
    return child
  }

  #onData(decoder: LineDecoder<ControlReport>, chunk: string): void {
    try {
      for (const report of decoder.push(chunk)) {
        if (report.op === 'ready') {
          this.#options.bootShare.restoreLater(this.#child.pid ?? undefined)
          this.#child.ready()
        }
        this.#options.onReport(report)
      }
    } catch (error) {
      this.#options.log.error({ err: error }, 'control sent something unreadable and is ended')
      this.kill()
    }
  }
}
