import { type LoginOptions, type WireAddress, WireClient, WireError } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import type { WireMessage } from '../support/wire-message.ts'

/** A session, and what the server said when it began. */
export interface Opened {
  readonly client: WireClient
  readonly messages: readonly WireMessage[]
}

/** What makes a session what it was after login: DISCARD ALL does not give a role back that comes from ALTER ROLE. */
const RESTORING = Buffer.concat(['DISCARD ALL', 'RESET ROLE'].map((sql) => wire.query(sql)))
/** The same, of one that is in a transaction. */
const ENDING = Buffer.concat([wire.query('ROLLBACK'), RESTORING])

/** So many idle ones are kept: each is a server process. */
const MOST_IDLE = 24

/**
 * Sessions at PostgreSQL itself that programs have left in good order, made fresh again for the next client that logs in
 * in the same way: a new server process costs more than the rest of a program. Whoever made it closes it.
 */
export class UsedSessions {
  readonly #address: WireAddress
  /** By login, those given back last behind the others. */
  readonly #idle = new Set<{ readonly key: string; readonly session: Opened }>()
  readonly #keys = new Map<WireClient, readonly [key: string, messages: readonly WireMessage[]]>()
  readonly #refused = new Map<string, WireError>()

  constructor(address: WireAddress) {
    this.#address = address
  }

  /** Throws WireError when the login is refused. */
  async open(login: LoginOptions): Promise<Opened> {
    const key = JSON.stringify(login)
    const refused = this.#refused.get(key)
    if (refused !== undefined) throw refused
    for (const used of this.#idle) {
      if (used.key !== key) continue
      this.#idle.delete(used)
      return used.session
    }
    const client = await WireClient.connect(this.#address)
    try {
      const messages = await client.login(login)
      this.#keys.set(client, [key, messages])
      return { client, messages }
    } catch (error) {
      client.close()
      if (error instanceof WireError) this.#refused.set(key, error)
      throw error
    }
  }

  /**
   * Resolves when everything that the session held is let go of; all that it was asked is answered. It is over when it cannot be
   * made fresh. `isIdle`: it is in no transaction.
   */
  async giveBack(client: WireClient, isIdle: boolean): Promise<void> {
    const [key, messages] = this.#keys.get(client) ?? []
    if (key === undefined || messages === undefined) throw new Error('a session that is none of these')
    try {
      const answers = isIdle ? await client.exchange(RESTORING, 2) : await client.exchange(ENDING, 3)
      if (answers.some(({ type }) => type === 'E')) throw new Error('it cannot be made fresh')
    } catch {
      this.forget(client)
      return
    }
    this.#idle.add({ key, session: { client, messages } })
    const [oldest] = this.#idle
    if (oldest === undefined || this.#idle.size <= MOST_IDLE) return
    this.#idle.delete(oldest)
    this.forget(oldest.session.client)
  }

  /** It is closed, and nobody gets it any more. */
  forget(client: WireClient): void {
    this.#keys.delete(client)
    client.close()
  }

  close(): void {
    for (const client of this.#keys.keys()) client.close()
  }
}
