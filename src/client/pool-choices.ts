import { sameCredential } from '../server/server-target.ts'
import type { ClientHost } from './client-host.ts'
import { PoolChoice, type PoolIdentity, poolMode } from './pool-choice.ts'

/**
 * The pool choices of a plane's sessions, each kept once: a thousand clients of one application have the same user,
 * database and credential, and so the same pool.
 */
export class PoolChoices {
  readonly #host: ClientHost
  /** By user and database; more than one while users or databases of older configurations are still in use. */
  readonly #choices = new Map<string, PoolChoice[]>()

  constructor(host: ClientHost) {
    this.#host = host
  }

  /** The choice of this identity, made when nobody has it. Counts one user: give it back with `release`. */
  acquire(identity: PoolIdentity): PoolChoice {
    const key = keyOf(identity)
    const alike = this.#choices.get(key) ?? []
    const mode = poolMode(this.#host, identity)
    let choice = alike.find((other) => other.mode === mode && isSame(other.identity, identity))
    if (choice === undefined) {
      choice = new PoolChoice(this.#host, identity)
      this.#choices.set(key, [...alike, choice])
    }
    choice.users++
    return choice
  }

  /** A session that has it is over. The last one takes its credential with it. */
  release(choice: PoolChoice): void {
    choice.users--
    if (choice.users > 0) return
    const key = keyOf(choice.identity)
    const others = this.#choices.get(key)?.filter((other) => other !== choice) ?? []
    if (others.length > 0) this.#choices.set(key, others)
    else this.#choices.delete(key)
  }
}

const keyOf = ({ user, database }: PoolIdentity): string => `${user}\0${database}`

/** Of one user and database: a newer configuration has other entries, and a new password other keys. */
function isSame(one: PoolIdentity, other: PoolIdentity): boolean {
  const isSized = one.userValue?.poolSize === other.userValue?.poolSize
  return isSized && one.entry === other.entry && sameCredential(one.credential, other.credential)
}
