import { Poller } from '../io/poller.ts'
import { setProcessNice } from '../io/process-share.ts'
import type { Logger } from '../log.ts'
import type { ControlReport, KeeperOrder, StopMode } from '../memory/keeper-control-protocol.ts'
import { HEADER } from '../memory/layout.ts'
import type { SharedState } from '../memory/shared-state.ts'
import { BootShare } from './boot-share.ts'
import { ClientIntake } from './client-intake.ts'
import type { ClientListener } from './client-listeners.ts'
import { ClientTable } from './client-table.ts'
import { ControlChild } from './control-child.ts'
import { CrashRecord } from './crash-record.ts'
import type { Orphan } from './orphans.ts'
import { PlaneChild } from './plane-child.ts'
import { PollerWatch } from './poller-watch.ts'
import { type Program, programAt } from './program.ts'
import { checkProgram } from './program-check.ts'
import { preservedSoFar, type RouterMemory } from './router-memory.ts'
import { RouterUpgrade, type UpgradeListener, type UpgradeParts, type UpgradeResult } from './router-upgrade.ts'
import { ServerTable } from './server-table.ts'

/** What control is given beyond the time it asked for, and before it says how long it needs. */
const PATIENCE_MS = 15_000
/** Control has said its last word, and told the planes to end. */
const LAST_MOMENTS_MS = 2_000

/** What a keeper owns, what it starts, and what of its own process it may change. */
export interface KeeperOptions {
  readonly memory: RouterMemory
  /** Held by planes for as long as they live. */
  readonly lockFd: number
  /** Stay the caller's. */
  readonly listeners: readonly ClientListener[]
  /** Planes that an earlier keeper started. */
  readonly orphans: readonly Orphan[]
  readonly program: Program
  readonly controlCommand: (program: Program) => readonly [string, ...string[]]
  readonly planeCommand: (program: Program, index: number, generation: number) => readonly [string, ...string[]]
  readonly checkCommand: (program: Program) => readonly [string, ...string[]]
  readonly environment: NodeJS.ProcessEnv
  readonly startOrder: (first: boolean, upgradeStatus: string) => KeeperOrder
  /** How the last upgrade went, when an earlier keeper did it. */
  readonly upgradeStatus: string
  /** Everything but this process runs another program from now on. */
  readonly onProgram: (program: Program) => void
  /** Makes this process another program, with the status of the last upgrade. Comes back only when it cannot be. */
  readonly becomeKeeperOf: (program: Program, upgradeStatus: string) => void
  readonly pid: number
  readonly architecture: string
  /** Monotonic milliseconds, and what makes them milliseconds since 1970. */
  readonly now: () => number
  readonly log: Logger
}

const SILENT: UpgradeListener = { begun: () => {}, progress: () => {} }

/**
 * - running: serves until `stop`, until control wants to exit, or until a child cannot be started at all.
 * - stopping: control drains and stops. Ends with control's `exit`, with its death, or when it takes too long.
 * - ending: the children end, or are killed. Ends with the last of them.
 * - ended: nothing is left; `finished` is settled.
 */
type KeeperState = 'running' | 'stopping' | 'ending' | 'ended'

const next: Record<KeeperState, readonly KeeperState[]> = {
  running: ['stopping', 'ending'],
  stopping: ['ending'],
  ending: ['ended'],
  ended: [],
}

/**
 * The process that owns what must outlive all others: listeners, shared memory, and a descriptor of every connection.
 * It starts the others and replaces those that die. It knows nothing of PostgreSQL.
 */
export class Keeper {
  readonly #options: KeeperOptions
  readonly #poller: Poller
  readonly #watch: PollerWatch
  readonly #control: ControlChild
  readonly #planes: readonly PlaneChild[]
  readonly #intake: ClientIntake
  readonly #upgrade: RouterUpgrade
  readonly #shared: SharedState
  #program: Program
  readonly #finished = Promise.withResolvers<number>()
  #state: KeeperState = 'running'
  #exitCode = 0
  #deadline: NodeJS.Timeout | null = null

  constructor(options: KeeperOptions) {
    this.#options = options
    const { memory, environment, log, now, lockFd } = options
    const { state } = memory
    const { geometry } = state
    state.headerI32[HEADER.keeperPid] = options.pid
    this.#shared = state
    this.#program = options.program
    this.#poller = new Poller(options.architecture)
    this.#watch = new PollerWatch(this.#poller)
    const clients = new ClientTable(state.clients, geometry.ordinaryClientSlots)
    const servers = new ServerTable(state.servers)
    const crashes = new CrashRecord({ shared: state, clients, servers, log, now })
    const memoryFd = memory.fd.fd
    const { program } = options
    const bootShare = new BootShare(setProcessNice)
    const child = { program, environment, memoryFd, bootShare, log, now, onEnded: () => this.#onChildEnded() }
    this.#control = new ControlChild({
      ...child,
      command: options.controlCommand,
      startOrder: (first) => options.startOrder(first && options.orphans.length === 0, this.#upgrade.status),
      onReport: (report) => this.#onReport(report),
      onGaveUp: (description) => this.#onGaveUp('control', description),
    })
    this.#planes = Array.from({ length: geometry.planes }, (_, index) => {
      const onGaveUp = (description: string): void => this.#onGaveUp(`plane ${index}`, description)
      const command = (from: Program, generation: number) => options.planeCommand(from, index, generation)
      const onRoom = (): void => this.#intake.look()
      const tables = { poller: this.#poller, clients, servers, crashes, lockFd, listeners: options.listeners }
      return new PlaneChild({ ...child, ...tables, index, command, onRoom, onGaveUp })
    })
    const { listeners } = options
    this.#intake = new ClientIntake({ poller: this.#poller, listeners, clients, takers: this.#planes, log, now })
    this.#upgrade = new RouterUpgrade(this.#upgradeParts(memoryFd), options.upgradeStatus)
  }

  /** Settles with the exit code when every child is reaped. */
  get finished(): Promise<number> {
    return this.#finished.promise
  }

  start(): void {
    this.#control.start()
    for (const plane of this.#planes) {
      const orphan = this.#options.orphans.find(({ adoptee }) => adoptee.plane === plane.index)
      if (orphan === undefined) plane.start()
      else plane.resume(orphan)
    }
  }

  /** SIGHUP. */
  reload(): void {
    if (this.#control.send({ op: 'reload' })) return
    this.#options.log.warn('control is not running; it reads the configuration when it starts again')
  }

  /**
   * Gives everything to processes of the program at `path`; null: of the one that runs, as it is on disk now. Never rejects.
   */
  async upgrade(path: string | null, listener: UpgradeListener = SILENT): Promise<UpgradeResult> {
    let program = this.#program
    try {
      if (path !== null) program = programAt(path, this.#program[0])
    } catch (error) {
      return { outcome: 'refused', text: error instanceof Error ? error.message : String(error) }
    }
    return this.#upgrade.run(program, listener)
  }

  /**
   * Makes this process, which keeps its id, the keeper of the program that everything else runs. What it holds, planes hold as
   * well, and give it to the new one. Comes back, and ends this process, only when the program cannot be run.
   */
  async replaceKeeper(): Promise<void> {
    if (this.#state !== 'running') return
    this.#options.log.info({ program: this.#program.join(' ') }, 'this process becomes the keeper of another program')
    this.#intake.close()
    await this.#control.leave()
    await Promise.all(this.#planes.map((plane) => plane.prepareForSuccessor(LAST_MOMENTS_MS)))
    this.#options.becomeKeeperOf(this.#program, this.#upgrade.status)
  }

  /** Ends everything, in the manner of `mode`; may be called again with a more urgent one. */
  stop(mode: StopMode, reason: string): void {
    if (this.#state === 'ending' || this.#state === 'ended') return
    this.#options.log.info({ mode, reason }, `stopping (${mode}): ${reason}`)
    if (this.#state === 'running') {
      this.#enter('stopping')
      this.#control.expectEnd()
    }
    if (this.#control.isEnded) return
    this.#control.send({ op: 'stop', mode, reason })
    this.#setDeadline(PATIENCE_MS)
  }

  /** Ends everything without asking anybody. */
  kill(reason: string): void {
    if (this.#state === 'ended') return
    this.#options.log.warn({ reason }, `ending at once: ${reason}`)
    if (this.#state !== 'ending') this.#end()
    this.#killChildren()
  }

  #onReport(report: ControlReport): void {
    switch (report.op) {
      case 'ready':
        return
      case 'stop-please':
        this.stop(report.mode, report.reason)
        return
      case 'stopping':
        if (this.#state === 'stopping') {
          this.#setDeadline(report.deadlineMs === null ? null : report.deadlineMs + PATIENCE_MS)
        }
        return
      case 'upgrade':
        this.#upgradeFor(report.id, report.program)
        return
      case 'planes-exit':
        this.#intake.close()
        for (const plane of this.#planes) plane.expectEnd()
        return
      case 'exit':
        this.#exitCode = report.code
        if (this.#state === 'running' || this.#state === 'stopping') this.#end()
    }
  }

  #upgradeFor(id: number, path: string | null): void {
    const answer = (refused: string | null) => this.#control.send({ op: 'upgrade-answer', id, refused })
    const listener = { begun: () => void answer(null), progress: () => {} }
    void this.upgrade(path, listener).then(({ outcome, text }) => outcome === 'refused' && answer(text))
  }

  #upgradeParts(memoryFd: number): UpgradeParts {
    const { checkCommand, environment, log, now } = this.#options
    const wallClockOffset = this.#shared.headerF64[HEADER.wallClockOffset] ?? 0
    return {
      program: () => this.#program,
      adopt: (program) => {
        this.#program = program
        this.#options.onProgram(program)
      },
      check: (program) => checkProgram(checkCommand(program), environment, memoryFd),
      control: this.#control,
      planes: this.#planes,
      obstacle: () => (this.#state === 'running' ? null : 'The router is stopping; there is no upgrade from here on.'),
      preserved: () => preservedSoFar(this.#shared),
      onStatus: (text) => this.#control.send({ op: 'upgrade-status', text }),
      timeText: () => new Date(now() + wallClockOffset).toISOString(),
      log,
    }
  }

  #onGaveUp(name: string, description: string): void {
    this.#options.log.fatal(`${name} cannot be started, the last attempt ${description}; see the lines above for why`)
    this.#exitCode = 1
    if (this.#state === 'running') this.#end()
  }

  #onChildEnded(): void {
    if (this.#state === 'stopping' && this.#control.isEnded) {
      this.#options.log.warn('control is gone; the planes are ended and local shards, if any, go on running')
      this.#end()
      return
    }
    if (this.#state !== 'ending') return
    if (!this.#control.isEnded || this.#planes.some(({ isEnded }) => !isEnded)) return
    this.#enter('ended')
    this.#setDeadline(null)
    this.#watch.close()
    this.#options.log.info({ exitCode: this.#exitCode }, 'stopped')
    this.#finished.resolve(this.#exitCode)
  }

  #end(): void {
    this.#enter('ending')
    this.#intake.close()
    this.#setDeadline(LAST_MOMENTS_MS)
    this.#control.expectEnd()
    for (const plane of this.#planes) plane.hangUp()
    this.#onChildEnded()
  }

  #setDeadline(ms: number | null): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline)
    this.#deadline = ms === null ? null : setTimeout(() => this.#onDeadline(), ms)
  }

  #onDeadline(): void {
    if (this.#state === 'ending') this.#killChildren()
    else this.kill('control did not stop in the time it had')
  }

  #killChildren(): void {
    this.#control.kill()
    for (const plane of this.#planes) plane.kill()
  }

  #enter(state: KeeperState): void {
    if (!next[this.#state].includes(state)) throw new Error(`keeper: ${state} while ${this.#state}`)
    this.#state = state
  }
}
