import type { ChildProcess } from 'node:child_process'
import type { OwnedFd } from '../io/owned-fd.ts'
import type { Poller } from '../io/poller.ts'
import type { Logger } from '../log.ts'
import type { NewClient, PlaneMessage } from '../memory/keeper-protocol.ts'
import type { ClientTaker } from './client-intake.ts'
import type { ClientTable } from './client-table.ts'
import type { CrashRecord } from './crash-record.ts'
import { takeInventory } from './hand-over.ts'
import { PlaneProcess } from './plane-process.ts'
import type { Replaceable } from './plane-replacement.ts'
import type { ServerTable } from './server-table.ts'
import { type ChildState, type Ending, SupervisedChild } from './supervised-child.ts'

/** A plane serves for so long before its standby is started: the first clients have the processors for themselves. */
const STANDBY_DELAY_MS = 500

export interface PlaneChildOptions {
  readonly index: number
  /** Program and arguments of this plane's `generation`-th process. */
  readonly command: (generation: number) => readonly [string, ...string[]]
  readonly environment: NodeJS.ProcessEnv
  readonly memoryFd: number
  readonly poller: Poller
  readonly clients: ClientTable
  readonly servers: ServerTable
  readonly crashes: CrashRecord
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
 * write to, its connections. Those are in the tables under the plane's index, and outlive its processes.
 */
export class PlaneChild implements ClientTaker, Replaceable {
  readonly name: string
  readonly #options: PlaneChildOptions
  readonly #active: SupervisedChild
  readonly #standby: SupervisedChild
  readonly #watchers = new Set<() => void>()
  #serving: PlaneProcess | null = null
  #waiting: PlaneProcess | null = null
  #standbyTimer: NodeJS.Timeout | null = null
  #processes = 0

  constructor(options: PlaneChildOptions) {
    const { index, log, now } = options
    this.#options = options
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
        changed: () => this.#look(),
      },
    })
    this.#standby = new SupervisedChild({
      name: `${this.name} (standby)`,
      // The router does without one.
      attempts: Number.POSITIVE_INFINITY,
      log,
      now,
      hooks: {
        spawn: () => this.#bootStandby(),
        died: () => this.#buryStandby(),
        gaveUp: () => {},
        ended: options.onEnded,
        changed: () => this.#look(),
      },
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

  get standbyState(): ChildState {
    return this.#standby.state
  }

  start(): void {
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
    this.#endStandby()
  }

  /** The same, and it is told by the end of its channel. Its connections live until it is gone. */
  hangUp(): void {
    this.expectEnd()
    this.#serving?.hangUp()
    this.#serving = null
  }

  kill(): void {
    this.#active.kill()
    this.#standby.kill()
  }

  killActive(): void {
    this.#active.kill()
  }

  renewStandby(): void {
    this.#stopStandbyTimer()
    const outdated = this.#waiting
    this.#waiting = null
    this.#standby.giveAway()
    outdated?.hangUp()
    outdated?.kill()
    this.#standby.start()
  }

  release(): void {
    this.#active.release()
    this.#serving?.release()
  }

  until(isSo: () => boolean, patienceMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (): void => {
        clearTimeout(timer)
        this.#watchers.delete(watcher)
        resolve(isSo())
      }
      const watcher = (): void => {
        if (isSo()) settle()
      }
      const timer = setTimeout(settle, patienceMs)
      this.#watchers.add(watcher)
      watcher()
    })
  }

  #look(): void {
    for (const watcher of this.#watchers) watcher()
  }

  // ── the active process

  /** The standby if there is one, booted or not, or a process of its own. */
  #activate(): ChildProcess {
    this.#stopStandbyTimer()
    const { clients, servers, index, onRoom, log } = this.#options
    const process = this.#waiting ?? this.#boot()
    this.#waiting = null
    if (this.#standby.state !== 'ended') this.#standby.giveAway()
    this.#serving = process
    const handOver = takeInventory(index, clients, servers)
    const counts = { clients: handOver.clients.length + handOver.unseen.length, servers: handOver.servers.length }
    if (counts.clients + counts.servers > 0) {
      log.info({ plane: index, ...counts }, `${this.name}: its connections go to process ${process.process.pid}`)
    }
    process.activate(handOver)
    onRoom()
    return process.process
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

  // ── the standby

  #bootStandby(): ChildProcess {
    this.#waiting = this.#boot()
    return this.#waiting.process
  }

  #buryStandby(): void {
    this.#waiting?.hangUp()
    this.#waiting = null
  }

  #endStandby(): void {
    this.#stopStandbyTimer()
    this.#standby.stop()
    this.#waiting?.hangUp()
  }

  #stopStandbyTimer(): void {
    if (this.#standbyTimer !== null) clearTimeout(this.#standbyTimer)
    this.#standbyTimer = null
  }

  #startStandbySoon(): void {
    this.#standbyTimer ??= setTimeout(() => {
      this.#standbyTimer = null
      if (this.#standby.state === 'idle') this.#standby.start()
    }, STANDBY_DELAY_MS)
  }

  // ── both

  #boot(): PlaneProcess {
    const { command, environment, memoryFd, poller, clients, servers, onRoom, log } = this.#options
    this.#processes++
    return new PlaneProcess({
      name: this.name,
      command: command(this.#processes),
      environment,
      memoryFd,
      poller,
      descriptors: { client: (slot) => clients.descriptor(slot), server: (slot) => servers.descriptor(slot) },
      onMessage: (from, message, fds) => this.#onMessage(from, message, fds),
      onRoom,
      log,
    })
  }

  #onMessage(from: PlaneProcess, message: PlaneMessage, fds: readonly OwnedFd[]): void {
    const { clients, servers, index } = this.#options
    if (message.op !== 'standby' && from !== this.#serving)
      throw new Error(`${message.op} from a process that does not serve`)
    switch (message.op) {
      case 'standby':
        if (from === this.#waiting) this.#standby.ready()
        return
      case 'ready':
        this.#active.ready()
        from.open()
        if (this.#active.state === 'running') this.#startStandbySoon()
        return
      case 'gone':
        for (const client of message.clients) clients.release(client, index)
        return
      case 'put':
        for (const [at, server] of message.servers.entries()) {
          const fd = fds[at]
          if (fd !== undefined) servers.put(server, fd, index)
        }
        return
      case 'drop':
        for (const server of message.servers) servers.drop(server, index)
    }
  }
}
