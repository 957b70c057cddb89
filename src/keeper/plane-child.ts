import type { OwnedFd } from '../io/owned-fd.ts'
import type { Poller } from '../io/poller.ts'
import type { Logger } from '../log.ts'
import type { NewClient, PlaneMessage } from '../memory/keeper-protocol.ts'
import type { BootShare } from './boot-share.ts'
import { ChangeWatch } from './change-watch.ts'
import type { ClientTaker } from './client-intake.ts'
import type { ClientTable } from './client-table.ts'
import type { CrashRecord } from './crash-record.ts'
import { takeInventory } from './hand-over.ts'
import type { KeptListener, Orphan } from './orphans.ts'
import { noteHoldings } from './plane-holdings.ts'
import { PlaneProcess, type PlaneProcessOptions } from './plane-process.ts'
import type { Replaceable } from './plane-replacement.ts'
import { PlaneStandby } from './plane-standby.ts'
import { PlaneSuccessor, type SuccessorState } from './plane-successor.ts'
import { ForeignProcess, type ProcessHandle } from './process-handle.ts'
import type { Program } from './program.ts'
import type { ServerTable } from './server-table.ts'
import { type ChildState, type Ending, SupervisedChild } from './supervised-child.ts'

/** How a plane's processes are started, and who hears of them. */
export interface PlaneChildOptions {
  readonly index: number
  readonly program: Program
  /** Program and arguments of this plane's `generation`-th process. */
  readonly command: (program: Program, generation: number) => readonly [string, ...string[]]
  readonly environment: NodeJS.ProcessEnv
  readonly memoryFd: number
  readonly lockFd: number
  readonly listeners: readonly KeptListener[]
  readonly poller: Poller
  readonly clients: ClientTable
  readonly servers: ServerTable
  readonly crashes: CrashRecord
  readonly bootShare: BootShare
  /** Clients that had to wait for this plane, or for a slot, may be accepted now. */
  readonly onRoom: () => void
  readonly onEnded: () => void
  readonly onGaveUp: (description: string) => void
  readonly log: Logger
  readonly now: () => number
}

/**
 * One plane: the process that serves, and a second one on standby, which has booted and waits for the first one's end. A
 * process becomes the active one only when its predecessor is reaped: until then somebody else may still read from, and
 * write to, its connections. Those are in the tables under the plane's index, and outlive its processes. During an upgrade
 * there is a third one, of the new version, which goes before the standby.
 */
export class PlaneChild implements ClientTaker, Replaceable {
  readonly name: string
  readonly #options: PlaneChildOptions
  readonly #active: SupervisedChild
  readonly #standby: PlaneStandby
  readonly #watch = new ChangeWatch()
  #program: Program
  #serving: PlaneProcess | null = null
  #successor: PlaneSuccessor | null = null
  #resumed: PlaneProcess | null = null
  #processes = 0

  constructor(options: PlaneChildOptions) {
    const { index, log, now } = options
    this.#options = options
    this.#program = options.program
    this.name = `plane ${index}`
    this.#active = new SupervisedChild({
      name: this.name,
      log,
      now,
      hooks: {
        spawn: () => this.#activate(),
        died: (ending) => this.#onActiveDied(ending),
        gaveUp: options.onGaveUp,
        ended: () => this.#onActiveEnded(),
        changed: () => this.#watch.changed(),
      },
    })
    this.#standby = new PlaneStandby({
      name: `${this.name} (standby)`,
      boot: () => this.#boot(this.#program).yield(),
      onChanged: () => this.#watch.changed(),
      onEnded: options.onEnded,
      log,
      now,
    })
  }

  get index(): number {
    return this.#options.index
  }

  get isEnded(): boolean {
    return this.#active.state === 'ended' && this.#standby.state === 'ended'
  }

  get acceptsClients(): boolean {
    return this.#active.state === 'running' && !this.isBacklogged
  }

  get isBacklogged(): boolean {
    return this.#serving?.isBacklogged === true
  }

  get activeState(): ChildState {
    return this.#active.state
  }

  get successorState(): SuccessorState | null {
    return this.#successor?.state ?? null
  }

  start(): void {
    this.#active.start()
  }

  /**
   * Goes on with a process that an earlier keeper started, and that says what it has before it is ready. Throws `SystemError`
   * when it has ended.
   */
  resume({ adoptee, channel }: Orphan): void {
    this.#processes = adoptee.generation
    const process = new ForeignProcess(adoptee.pid, this.#options.poller)
    this.#resumed = new PlaneProcess(process, channel, this.#processOptions())
    this.#active.start()
  }

  announce(client: NewClient): void {
    this.#serving?.announce(client)
  }

  /** Sends what is announced; what the plane does not take now is sent by a later `flush`. */
  flush(): void {
    this.#serving?.flush()
  }

  /** It may end now, and finally. */
  expectEnd(): void {
    this.#active.stop()
    this.#standby.end()
    this.discard()
  }

  /** The same, and it is told by the end of its channel. Its connections live until it is gone. */
  hangUp(): void {
    this.expectEnd()
    // Otherwise it would look for another keeper.
    this.#serving?.release()
    this.#serving?.hangUp()
    this.#serving = null
  }

  /** This process is about to be another program: the standby ends, and the active process has everything. */
  async prepareForSuccessor(patienceMs: number): Promise<void> {
    this.#standby.end()
    this.discard()
    this.flush()
    await this.until(() => this.#standby.state === 'ended' && !this.isBacklogged, patienceMs)
  }

  kill(): void {
    this.#active.kill()
    this.#standby.kill()
  }

  killActive(): void {
    this.#active.kill()
  }

  prepare(program: Program): void {
    this.#successor = new PlaneSuccessor(this.#boot(program).yield(), () => this.#watch.changed())
  }

  sendAhead(): void {
    const { clients, index } = this.#options
    this.#successor?.prepare(clients.of(index).filter(({ slot }) => clients.progress(slot) === 'served'))
  }

  discard(): void {
    this.#successor?.abandon()
  }

  release(): void {
    this.#options.crashes.noteRelease(this.index)
    this.#active.release()
    this.#serving?.release()
  }

  adopt(program: Program): void {
    this.#program = program
    this.#standby.renew()
  }

  until(isSo: () => boolean, patienceMs: number): Promise<boolean> {
    return this.#watch.until(isSo, patienceMs)
  }

  /** The process that is resumed, or the successor if one waits, or else the standby if there is one, booted or not, or a process of its own. */
  #activate(): ProcessHandle {
    const resumed = this.#resumed
    this.#resumed = null
    if (resumed !== null) {
      this.#serving = resumed
      return resumed.process
    }
    const { clients, servers, index, onRoom, log } = this.#options
    const process = this.#takeSuccessor() ?? this.#standby.take() ?? this.#boot(this.#program)
    this.#serving = process
    const handOver = takeInventory(index, clients, servers)
    const counts = { clients: handOver.clients.length + handOver.unseen.length, servers: handOver.servers.length }
    process.activate(handOver)
    if (counts.clients + counts.servers > 0) {
      log.info({ plane: index, ...counts }, `${this.name}: its connections go to process ${process.process.pid}`)
    }
    onRoom()
    return process.process
  }

  #takeSuccessor(): PlaneProcess | null {
    if (this.#successor?.isWaiting !== true) return null
    this.#successor.activated()
    return this.#successor.process
  }

  #onActiveDied(ending: Ending): void {
    this.#serving?.bury()
    this.#serving = null
    this.#options.crashes.examine(this.index, ending)
  }

  #onActiveEnded(): void {
    const { clients, servers, index, onEnded } = this.#options
    clients.releaseAllOf(index)
    servers.releaseAllOf(index)
    onEnded()
  }

  #boot(program: Program): PlaneProcess {
    const { command, environment, memoryFd, lockFd } = this.#options
    this.#processes++
    const start = { command: command(program, this.#processes), environment, memoryFd, lockFd }
    return PlaneProcess.start(start, this.#processOptions())
  }

  #processOptions(): PlaneProcessOptions {
    const { poller, clients, servers, listeners, bootShare, onRoom, log } = this.#options
    return {
      name: this.name,
      poller,
      bootShare,
      descriptors: {
        client: (slot) => clients.descriptor(slot),
        server: (slot) => servers.descriptor(slot),
        listeners,
      },
      onMessage: (from, message, fds) => this.#onMessage(from, message, fds),
      onRoom,
      log,
    }
  }

  #onMessage(from: PlaneProcess, message: PlaneMessage, fds: readonly OwnedFd[]): void {
    const isEarly = message.op === 'standby' || message.op === 'prepared'
    if (!isEarly && from !== this.#serving) throw new Error(`${message.op} from a process that does not serve`)
    switch (message.op) {
      case 'standby':
        this.#standby.booted(from)
        if (from === this.#successor?.process) this.#successor.booted()
        return
      case 'prepared':
        if (from === this.#successor?.process) this.#successor.prepared()
        return
      case 'ready':
        this.#onReady(from)
        return
      case 'released':
        this.#active.released()
        return
      case 'have':
      case 'gone':
      case 'put':
      case 'drop':
        noteHoldings(this.#options, message, fds)
        return
      case 'adopt':
      case 'listener':
        throw new Error(`${message.op} from a plane that has a keeper`)
    }
  }

  #onReady(from: PlaneProcess): void {
    this.#active.ready()
    if (from.process instanceof ForeignProcess) this.#options.clients.wipeUnheld(this.index)
    from.open()
    if (from === this.#successor?.process) this.#successor.serves()
    if (this.#active.state === 'running') this.#standby.startSoon()
  }
}
