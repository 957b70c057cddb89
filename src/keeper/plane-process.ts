import { spawn } from 'node:child_process'
import { FdChannel, type Received } from '../io/fd-channel.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { type Poller, type PollTarget, READABLE, WRITABLE } from '../io/poller.ts'
import type { Logger } from '../log.ts'
import { decodePlaneMessage, type NewClient, type PlaneMessage, type SlotReference } from '../memory/keeper-protocol.ts'
import type { BootShare } from './boot-share.ts'
import type { HandOver } from './hand-over.ts'
import { type Descriptors, PlaneChannel } from './plane-channel.ts'
import type { ProcessHandle } from './process-handle.ts'

/** Packets read in one go before others get their turn. */
const PACKETS_PER_TURN = 64

/** What a plane process is started with. */
export interface PlaneStart {
  readonly command: readonly [string, ...string[]]
  readonly environment: NodeJS.ProcessEnv
  readonly memoryFd: number
  /** Held by planes for as long as they live. */
  readonly lockFd: number
}

/** Who hears a plane process. */
export interface PlaneProcessOptions {
  /** For people: `plane 0`. */
  readonly name: string
  readonly poller: Poller
  readonly bootShare: BootShare
  readonly descriptors: Descriptors
  /** Descriptors that nobody takes over are closed afterwards. May throw when the message makes no sense. */
  readonly onMessage: (from: PlaneProcess, message: PlaneMessage, fds: readonly OwnedFd[]) => void
  /** Something was read or sent: whoever had to wait for this plane, or for a slot, may go on. */
  readonly onRoom: () => void
  readonly log: Logger
}

/** One process of a plane, and the channel to it. Does not reap it: whoever owns this listens for the process's end. */
export class PlaneProcess implements PollTarget {
  readonly process: ProcessHandle
  readonly #options: PlaneProcessOptions
  readonly #channel: PlaneChannel
  #watched: { readonly key: number; readonly fd: OwnedFd } | null
  #awaitsRoom = false

  /** `fd`: our end of its channel, which this owns from here on. */
  constructor(process: ProcessHandle, fd: OwnedFd, options: PlaneProcessOptions) {
    this.process = process
    this.#options = options
    this.#channel = new PlaneChannel(fd, options.descriptors)
    this.#watched = { key: options.poller.add(fd, READABLE, this), fd }
  }

  /** Throws when it cannot be started. */
  static start({ command, environment, memoryFd, lockFd }: PlaneStart, options: PlaneProcessOptions): PlaneProcess {
    const [ours, theirs] = FdChannel.pair()
    const [program, ...parameters] = command
    try {
      const process = spawn(program, parameters, {
        detached: true,
        env: environment,
        stdio: ['ignore', 'inherit', 'inherit', theirs.fd, memoryFd, lockFd],
      })
      return new PlaneProcess(process, ours, options)
    } catch (error) {
      ours.close()
      throw error
    } finally {
      theirs.close()
    }
  }

  get isBacklogged(): boolean {
    return this.#channel.isBacklogged
  }

  /** Nobody waits for it until `activate`. */
  yield(): this {
    const { bootShare } = this.#options
    const { pid } = this.process
    bootShare.yield(pid)
    this.process.once('exit', () => bootShare.forget(pid))
    return this
  }

  /** It is to follow a plane that serves these, and gets ready meanwhile. */
  sendAhead(clients: readonly SlotReference[]): void {
    this.#channel.sendAhead(clients)
    this.flush()
  }

  /** It has got ready for some more of them; false: not for all. */
  prepared(): boolean {
    return this.#channel.prepared()
  }

  /** It is to serve, beginning with what its predecessor left. */
  activate(handOver: HandOver): void {
    this.#options.bootShare.restore(this.process.pid)
    this.#channel.handOver(handOver)
    this.flush()
  }

  /** It takes new clients. */
  open(): void {
    this.#channel.open()
    this.flush()
  }

  announce(client: NewClient): void {
    this.#channel.announce(client)
  }

  /** It is to exit when its wake-up is over. */
  release(): void {
    this.#channel.release()
    this.flush()
  }

  /** Sends what waits; what the plane does not take now follows when there is room. */
  flush(): void {
    const before = this.#channel.waiting
    if (before === 0 && !this.#awaitsRoom) return
    const result = this.#channel.flush()
    if (result === 'gone') this.kill()
    // Where nothing moves although there seems to be room, too many descriptors are on their way: whoever owns us tries
    // again later, and asking the kernel would spin.
    this.#awaitRoom(result === 'full' && this.#channel.waiting < before)
  }

  kill(): void {
    this.process.kill('SIGKILL')
  }

  /** Ends the channel, which tells the process to exit; nothing more is heard of it. */
  hangUp(): void {
    this.#stopWatching()
    this.#channel.close()
  }

  /** The same for one that is dead: what it said last is still heard. */
  bury(): void {
    this.#stopWatching()
    for (const received of this.#channel.lastWords()) this.#onPacket(received)
    this.#channel.close()
  }

  onReady(events: number): void {
    if ((events & WRITABLE) !== 0) this.flush()
    for (let packet = 0; packet < PACKETS_PER_TURN && this.#watched !== null; packet++) {
      const received = this.#channel.receive()
      if (received === 'empty') break
      if (received === 'gone') {
        this.#stopWatching()
        this.kill()
        break
      }
      this.#onPacket(received)
    }
    this.#options.onRoom()
  }

  #onPacket({ bytes, fds, truncated }: Received): void {
    const { log, name, onMessage } = this.#options
    try {
      if (truncated) log.warn(`${name}: no file descriptor free to keep its server connections`)
      onMessage(this, decodePlaneMessage(bytes), fds)
    } catch (error) {
      log.error({ err: error }, `${name} sent something unreadable and is ended`)
      this.kill()
    } finally {
      // Those that a table took over are empty by now.
      for (const fd of fds) fd.close()
    }
  }

  #awaitRoom(wanted: boolean): void {
    if (this.#watched === null || wanted === this.#awaitsRoom) return
    this.#awaitsRoom = wanted
    this.#options.poller.change(this.#watched.key, this.#watched.fd, wanted ? READABLE | WRITABLE : READABLE)
  }

  #stopWatching(): void {
    if (this.#watched === null) return
    this.#options.poller.remove(this.#watched.key, this.#watched.fd)
    this.#watched = null
  }
}
