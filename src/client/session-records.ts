import type { ScramCredential } from '../auth/scram-client.ts'
import { CLIENT } from '../memory/client-slots.ts'
import type { Region } from '../memory/region.ts'
import type { ValueStore } from '../memory/value-store.ts'
import type { ServerCredential } from '../server/server-target.ts'
import type { ParameterRegistry, ParameterSet } from '../session/parameters.ts'
import type { PreparedStatement, SessionStatements } from '../session/prepared-statements.ts'

/** Who a session is, which never changes. */
export interface SessionIdentity {
  readonly user: string
  readonly database: string
  /** What its login left us to log in to shards with. */
  readonly credential: ServerCredential
}

/** Everything that a session between two transactions is, beside what its slot says by itself. */
export interface SessionRecord extends SessionIdentity {
  readonly initial: ParameterSet
  readonly parameters: ParameterSet
  /** Names and Parse messages behind the name. */
  readonly statements: readonly (readonly [string, Buffer])[]
}

/** The part of a session's state that is recorded. */
export interface RecordedState {
  /** Null: nobody knows them; it has a server connection for life. */
  readonly initial: ParameterSet | null
  readonly parameters: ParameterSet | null
  /** It believes in a transaction that is gone. */
  readonly transactionLost: boolean
}

/**
 * Sessions as they are between two transactions, in shared memory: ids of shared values in the slot. So another process can
 * go on with a client whose plane has died. Written whenever a session comes to rest and something has changed.
 *
 * Credentials are among the values: the memory is no file, and only processes of the router can map it.
 */
export class SessionRecords {
  readonly #store: ValueStore
  readonly #clients: Region
  readonly #parameters: ParameterRegistry

  constructor(store: ValueStore, clients: Region, parameters: ParameterRegistry) {
    this.#store = store
    this.#clients = clients
    this.#parameters = parameters
  }

  /** Once, when the client has logged in. */
  identify(slot: number, { user, database, credential }: SessionIdentity): void {
    this.#set(slot, CLIENT.identityId, this.#store.put(json({ user, database, credential: encode(credential) })))
  }

  /** The session has come to rest. `named`: its prepared statements, null without any. */
  remember(
    slot: number,
    { initial, parameters, transactionLost }: RecordedState,
    named: SessionStatements | null,
  ): void {
    const { i32, recordBytes } = this.#clients
    const at = slot * (recordBytes >> 2)
    if (initial === null || parameters === null || transactionLost || this.#store.isFull) {
      i32[at + CLIENT.parametersId] = 0
      return
    }
    const isRecorded = parameters.storedAs !== 0 && i32[at + CLIENT.parametersId] === parameters.storedAs
    if (isRecorded && i32[at + CLIENT.statementsId] === (named?.storedAs ?? 0)) return
    // Not valid while it changes.
    i32[at + CLIENT.parametersId] = 0
    const statements = named === null ? 0 : this.#storeNames(named)
    if (statements < 0) return
    i32[at + CLIENT.statementsId] = statements
    i32[at + CLIENT.initialId] = this.#storeSet(initial)
    i32[at + CLIENT.parametersId] = this.#storeSet(parameters)
  }

  /** Null: the session cannot be rebuilt. */
  read(slot: number): SessionRecord | null {
    const identity = this.#value(slot, CLIENT.identityId)
    const initial = this.#value(slot, CLIENT.initialId)
    const parameters = this.#value(slot, CLIENT.parametersId)
    if (identity === null || initial === null || parameters === null) return null
    const { user, database, credential } = identity as { user: string; database: string; credential: Encoded }
    const names = (this.#value(slot, CLIENT.statementsId) ?? []) as [string, number][]
    const statements: [string, Buffer][] = []
    for (const [name, id] of names) {
      const tail = this.#store.get(id)
      if (tail === null) return null
      statements.push([name, tail])
    }
    return {
      user,
      database,
      credential: decode(credential),
      initial: this.#parameters.of(initial as [string, string][]),
      parameters: this.#parameters.of(parameters as [string, string][]),
      statements,
    }
  }

  #storeSet(set: ParameterSet): number {
    if (set.storedAs === 0) set.storedAs = this.#store.put(json([...set.values]))
    return set.storedAs
  }

  /** The id of the names with the ids of their texts; −1 when there is no room. */
  #storeNames(named: SessionStatements): number {
    if (named.size === 0) {
      named.storedAs = 0
      return 0
    }
    const names: [string, number][] = []
    for (const [name, statement] of named.entries()) {
      const id = this.#storeText(statement)
      if (id === 0) return -1
      names.push([name, id])
    }
    named.storedAs = this.#store.put(json(names))
    return named.storedAs === 0 ? -1 : named.storedAs
  }

  #storeText(statement: PreparedStatement): number {
    // A text of megabytes would fill the store: its session is not recorded as long as it has it.
    if (statement.isLong) return 0
    if (statement.storedAs === 0) statement.storedAs = this.#store.put(statement.tail)
    return statement.storedAs
  }

  #value(slot: number, field: number): unknown {
    const id = this.#clients.i32[slot * (this.#clients.recordBytes >> 2) + field] ?? 0
    const bytes = this.#store.get(id)
    return bytes === null ? null : JSON.parse(bytes.toString('utf8'))
  }

  #set(slot: number, field: number, value: number): void {
    this.#clients.i32[slot * (this.#clients.recordBytes >> 2) + field] = value
  }
}

/** A credential as JSON can say it. */
interface Encoded {
  readonly password: string | null
  readonly md5Hash: string | null
  /** Base64. */
  readonly keys: { readonly client: string; readonly server: string } | null
  readonly scramPassword: string | null
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

function encode({ scram, password, md5Hash }: ServerCredential): Encoded {
  const keys =
    scram?.kind === 'keys'
      ? { client: scram.clientKey.toString('base64'), server: scram.serverKey.toString('base64') }
      : null
  return { password, md5Hash, keys, scramPassword: scram?.kind === 'password' ? scram.password : null }
}

function decode({ password, md5Hash, keys, scramPassword }: Encoded): ServerCredential {
  let scram: ScramCredential | null = null
  if (keys !== null) {
    const key = (text: string): Buffer => Buffer.from(text, 'base64')
    scram = { kind: 'keys', clientKey: key(keys.client), serverKey: key(keys.server) }
  } else if (scramPassword !== null) scram = { kind: 'password', password: scramPassword }
  return { scram, password, md5Hash }
}
