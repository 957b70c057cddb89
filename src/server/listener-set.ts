import type { KeptServer } from './kept-server.ts'
import { type ListenerHost, NotificationListener } from './notification-listener.ts'
import type { ServerConnection } from './server-connection.ts'
import type { ServerPool } from './server-pool.ts'
import type { ServerTarget } from './server-target.ts'

/**
 * All listening connections of a plane: one for each group and database on its servers that somebody listens in, and one
 * more for each client_encoding that is not what most have.
 */
export class ListenerSet {
  readonly #host: ListenerHost
  readonly #listeners = new Map<string, NotificationListener>()

  constructor(host: ListenerHost) {
    this.#host = host
  }

  /** The one that hears what clients of this pool are notified of, in this client_encoding. */
  for(pool: ServerPool, encoding: string): NotificationListener {
    const { shard, database } = pool.target
    const key = JSON.stringify([shard.group, database, encoding])
    let listener = this.#listeners.get(key)
    if (listener === undefined) {
      listener = new NotificationListener(this.#host, encoding)
      this.#listeners.set(key, listener)
    }
    return listener
  }

  /** Goes on with a connection that another process has listened on. Throws Error when it cannot be read. */
  adopt(target: ServerTarget, encoding: string, kept: KeptServer & { readonly slot: number }): ServerConnection {
    const key = JSON.stringify([target.shard.group, target.database, encoding])
    const listener = new NotificationListener(this.#host, encoding)
    const server = listener.adopt(target, kept)
    this.#listeners.set(key, listener)
    return server
  }

  /** The topology, the configuration, or what is paused has changed. */
  revise(): void {
    for (const listener of this.#listeners.values()) listener.revise()
  }

  /** Once a second. */
  maintain(now: number): void {
    for (const [key, listener] of this.#listeners) {
      listener.maintain(now)
      if (listener.isOver) this.#listeners.delete(key)
    }
  }

  close(reason: string): void {
    for (const listener of this.#listeners.values()) listener.close(reason)
  }
}
