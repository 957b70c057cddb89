import { basename, dirname } from 'node:path'
import { acquireDirectoryLock, type DirectoryLock } from './directory-lock.ts'
import { LocalClusterError } from './local-cluster-error.ts'
import type { LocalServer } from './local-servers.ts'

/** Shards that this process alone may do something to, until `release`. */
export interface ShardClaim {
  release(): Promise<void>
}

interface Held {
  readonly lock: DirectoryLock
  claims: number
}

/**
 * Locks on data directories, so that of several routers on a machine only one stops, starts or promotes the servers of a group at
 * a time: a file beside the data directory, with the process that holds it. The death of that process releases it.
 */
export class ShardClaims {
  readonly #held = new Map<string, Held>()

  /** All of these, or none. Claims of this process add up. Returns the reason when another process has one of them. */
  async claim(servers: readonly LocalServer[]): Promise<ShardClaim | string> {
    // Everybody takes them in the same order.
    const sorted = servers.toSorted((one, other) => (one.directory.data < other.directory.data ? -1 : 1))
    const taken: string[] = []
    const release = async (): Promise<void> => {
      for (const data of taken.splice(0).reverse()) await this.#release(data)
    }
    try {
      for (const server of sorted) {
        await this.#take(server)
        taken.push(server.directory.data)
      }
      return { release }
    } catch (error) {
      await release()
      if (error instanceof LocalClusterError) return error.message
      throw error
    }
  }

  async #take({ directory: { data }, account }: LocalServer): Promise<void> {
    const held = this.#held.get(data)
    if (held !== undefined) {
      held.claims++
      return
    }
    const place = { file: `${basename(data)}.switchyard-lock`, what: `The data directory ${data}`, hint: 'It decides.' }
    const lock = await acquireDirectoryLock(dirname(data), account, place)
    this.#held.set(data, { lock, claims: 1 })
  }

  async #release(data: string): Promise<void> {
    const held = this.#held.get(data)
    if (held === undefined) return
    held.claims--
    if (held.claims > 0) return
    this.#held.delete(data)
    await held.lock.release()
  }
}
