import { type ChildProcess, spawn } from 'node:child_process'
import { FdChannel } from '../io/fd-channel.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { type Poller, type PollTarget, READABLE } from '../io/poller.ts'
import type { Logger } from '../log.ts'
import { decodePlaneMessage, type NewClient, type PlaneMessage } from '../memory/keeper-protocol.ts'
import type { ClientTaker } from './client-intake.ts'
import type { ClientTable } from './client-table.ts'
import { PlaneChannel } from './plane-channel.ts'
import type { ServerTable } from './server-table.ts'
import { SupervisedChild } from './supervised-child.ts'

/** Packets read in one go before others get their turn. */
const PACKETS_PER_TURN = 64

export interface PlaneChildOptions {
  readonly index: number
  /** Program and arguments of this plane's `generation`-th life. */
  readonly command: (generation: number) => readonly [string, ...string[]]
  readonly environment: NodeJS.ProcessEnv
  readonly memoryFd: number
  readonly poller: Poller
  readonly clients: ClientTable
  readonly servers: ServerTable
  /** Clients that had to wait for this plane, or for a slot, may be accepted now. */
  readonly onRoom: () => void
  readonly onEnded: () => void
  readonly onGaveUp: (description: string) => void
  readonly log: Logger
  readonly now: () => number
}

/**
 * One plane: its process, the channel to it, and what is to be tidied when it dies. Its clients and servers are in the
 * tables under its index.
 */
export class PlaneChild implements PollTarget, ClientTaker {
  readonly #options: PlaneChildOptions
  readonly #child: SupervisedChild
  readonly #name: string
  #channel: PlaneChannel | null = null
  #watched: { readonly key: number; readonly fd: OwnedFd } | null = null
  #lives = 0

  constructor(options: PlaneChildOptions) {
    this.#options = options
    this.#name = `plane ${options.index}`
    this.#child = new SupervisedChild({
      name: this.#name,
      log: options.log,
      now: options.now,
      hooks: {
        spawn: () => this.#spawn(),
        died: () => this.#tidy(),
        gaveUp: options.onGaveUp,
        ended: options.onEnded,
      },
    })
  }

  get index(): number {
    return this.#options.index
  }

  get pid(): number | null {
    return this.#child.pid
  }

  get isEnded(): boolean {
    return this.#child.state === 'ended'
  }

  get acceptsClients(): boolean {
    return this.#child.state === 'running' && !this.isBacklogged
  }

  get isBacklogged(): boolean {
    return this.#channel?.isBacklogged === true
  }

  start(): void {
    this.#child.start()
  }

  announce(client: NewClient): void {
    this.#channel?.announce(client)
  }

  /** Sends what is announced; what the plane does not take now is sent by a later `flush`. */
  flush(): void {
    if (this.#channel?.flush() === 'gone') this.#child.kill()
  }

  /** It may end now, and finally. */
  expectEnd(): void {
    this.#child.stop()
  }

  /** The same, and it is told by the end of its channel. Its connections live until it is gone. */
  hangUp(): void {
    this.#child.stop()
    this.#stopWatching()
    this.#channel?.close()
    this.#channel = null
  }

  kill(): void {
    this.#child.kill()
  }

  onReady(): void {
    for (let packet = 0; packet < PACKETS_PER_TURN; packet++) {
      const received = this.#channel?.receive() ?? 'empty'
      if (received === 'empty') break
      if (received === 'gone') {
        this.#stopWatching()
        this.#child.kill()
        break
      }
      this.#onPacket(received.bytes, received.fds, received.truncated)
    }
    this.#options.onRoom()
  }

  #onPacket(bytes: Buffer, fds: readonly OwnedFd[], truncated: boolean): void {
    try {
      if (truncated) this.#options.log.warn(`${this.#name}: no file descriptor free to keep its server connections`)
      this.#onMessage(decodePlaneMessage(bytes), fds)
    } catch (error) {
      this.#options.log.error({ err: error }, `${this.#name} sent something unreadable and is ended`)
      this.#child.kill()
    } finally {
      // Those that a table took over are empty by now.
      for (const fd of fds) fd.close()
    }
  }

  #onMessage(message: PlaneMessage, fds: readonly OwnedFd[]): void {
    const { clients, servers, index } = this.#options
    switch (message.op) {
      case 'ready':
        this.#child.ready()
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

  #spawn(): ChildProcess {
    const { command, environment, memoryFd, poller } = this.#options
    const [ours, theirs] = FdChannel.pair()
    this.#lives++
    const [program, ...parameters] = command(this.#lives)
    try {
      const child = spawn(program, parameters, {
        detached: true,
        env: environment,
        stdio: ['ignore', 'inherit', 'inherit', theirs.fd, memoryFd],
      })
      this.#channel = new PlaneChannel(ours, ({ slot }) => this.#options.clients.descriptor(slot))
      this.#watched = { key: poller.add(ours, READABLE, this), fd: ours }
      return child
    } finally {
      theirs.close()
    }
  }

  #tidy(): void {
    const { clients, servers, index, log } = this.#options
    this.#stopWatching()
    this.#channel?.close()
    this.#channel = null
    const lostClients = clients.releaseAllOf(index)
    const lostServers = servers.releaseAllOf(index)
    if (lostClients > 0) {
      log.warn({ plane: index, clients: lostClients, servers: lostServers }, `${this.#name} took its clients with it`)
    }
  }

  #stopWatching(): void {
    if (this.#watched === null) return
    this.#options.poller.remove(this.#watched.key, this.#watched.fd)
    this.#watched = null
  }
}
