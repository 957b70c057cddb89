import { LoginShapes, type MockAccount, mockAccount } from '../auth/mock-account.ts'
import type { AccountAnswer, AccountBook } from '../client/client-host.ts'
import type { PlaneEvent } from '../memory/control-protocol.ts'
import type { UserValue } from '../shard/plane-values.ts'

type Answer = (account: AccountAnswer) => void

/** Who may log in: the users of the configuration, and those that the control process finds on a shard. */
export class Accounts implements AccountBook {
  /** False when the control process does not listen. */
  readonly #tell: (event: PlaneEvent) => boolean
  readonly #lookups = new Map<string, Set<Answer>>()
  /** Found by a lookup, as of the last one. */
  readonly #found = new Map<string, UserValue>()
  #listed = new Map<string, UserValue>()
  #shapes = new LoginShapes()
  #mockSecret = Buffer.alloc(0)

  constructor(tell: (event: PlaneEvent) => boolean) {
    this.#tell = tell
  }

  /** New configuration: what was found under the old one is looked up again. */
  replace(users: readonly UserValue[], mockSecret: string): void {
    this.#listed = new Map(users.map((user) => [user.name, user]))
    this.#found.clear()
    this.#shapes = new LoginShapes()
    for (const user of users) this.#shapes.add(user)
    this.#mockSecret = Buffer.from(mockSecret, 'base64')
  }

  mock(name: string): MockAccount {
    return mockAccount(name, this.#mockSecret, this.#shapes)
  }

  listed(name: string): UserValue | null {
    return this.#listed.get(name) ?? null
  }

  /** The secret of a user that is listed without one is the shard's. */
  get(name: string): UserValue | null {
    const listed = this.#listed.get(name)
    if (listed !== undefined && (listed.verifier !== null || listed.password !== null)) return listed
    return this.#found.get(name) ?? listed ?? null
  }

  /** `answer` is called later, unless `cancel` was called before. Null: nobody to ask. */
  lookUp(user: string, database: string, answer: Answer): { cancel(): void } | null {
    const waiting = this.#lookups.get(user) ?? new Set()
    if (waiting.size === 0 && !this.#tell({ op: 'account', user, database })) return null
    waiting.add(answer)
    this.#lookups.set(user, waiting)
    return { cancel: () => waiting.delete(answer) }
  }

  /** What was found did not let the user in: the next lookup shall look anew. */
  refused(user: string, database: string): void {
    this.#tell({ op: 'account-refused', user, database })
  }

  /** The answer to a lookup; null without an error: no such user. */
  found(name: string, user: UserValue | null, error: string | null): void {
    const waiting = this.#lookups.get(name)
    this.#lookups.delete(name)
    if (user !== null) {
      if (!this.#found.has(name)) this.#shapes.add(user)
      this.#found.set(name, user)
    } else if (error === null) this.#found.delete(name)
    for (const answer of waiting ?? []) answer({ user, error })
  }

  /** The control process is gone: what it was asked is asked again by the next client. */
  forget(): void {
    for (const name of [...this.#lookups.keys()]) this.found(name, null, 'the control process restarts')
  }
}
