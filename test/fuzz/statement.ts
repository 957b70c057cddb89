/**
 * What the scheduler and the runner have to know of a statement beforehand, because its words are not looked at.
 *
 * - begins: may leave a transaction open.
 * - pins: may make its session keep its server connection.
 * - alone: takes a lock that others would wait for; runs only while no transaction is open anywhere.
 * - idle: runs only outside of transactions.
 * - executes: runs a statement that was prepared before.
 * - alters: changes a table that is always there; makes: tables of the client's own.
 * - simple: runs only as a simple query of its own.
 * - control: begins or ends a transaction or savepoint.
 * - isolates: sets the isolation level of a transaction, for which that must not have looked at anything yet.
 * - joined: stands among other statements in one string.
 * - resets: may put settings back to what they were at login.
 * - listens, notifies: notifications may come from now on.
 * - usesSequence: nextval of the session's own; readsSequence: needs one before; forgetsSequence: needs one again.
 */
export type Trait =
  | 'begins'
  | 'pins'
  | 'alone'
  | 'idle'
  | 'listens'
  | 'notifies'
  | 'usesSequence'
  | 'forgetsSequence'
  | 'readsSequence'
  | 'alters'
  | 'makes'
  | 'resets'
  | 'simple'
  | 'joined'
  | 'isolates'
  | 'control'
  | 'executes'

/** SQL in which `:me` stands for the number of the client, and the parameters that go with it. */
export interface Statement {
  readonly sql: string
  readonly values: readonly (string | null)[]
  readonly traits: readonly Trait[]
}

/** The SQL that client number `client` sends. */
export function sqlOf(sql: string, client: number): string {
  return sql.replaceAll(':me', String(client))
}

/** A statement, by its text and what is to be known of it. */
export function statement(sql: string, ...traits: readonly Trait[]): Statement {
  return { sql, values: [], traits }
}

/** One with parameters, which the extended protocol alone can send. */
export function withValues({ sql, traits }: Statement, ...values: readonly (string | null)[]): Statement {
  return { sql, values, traits }
}

/** Several in one string. */
export function joined(statements: readonly Statement[]): Statement {
  return {
    sql: statements.map(({ sql }) => sql).join('; '),
    values: [],
    traits: ['joined', ...statements.flatMap(({ traits }) => traits)],
  }
}
