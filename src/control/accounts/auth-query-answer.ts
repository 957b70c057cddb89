import { parseVerifier } from '../../auth/scram-verifier.ts'
import type { Verifier } from '../../shard/plane-values.ts'

/** What a shard says about a user. `verifier` null: the user exists, and no password lets it in. */
export type AuthQueryAnswer =
  | { readonly kind: 'found'; readonly name: string; readonly verifier: Verifier | null }
  | { readonly kind: 'not-found' }

/** The result of the query: names of the columns, and rows of texts and nulls. */
export interface AuthQueryRows {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | null)[])[]
}

/**
 * The answer in the rows that `auth.query` returned for `user`, or a sentence that says what is wrong with them. The
 * row must be the user's own: a query without its WHERE clause would else let everybody in with one password. More
 * columns than two are not looked at, as in PgBouncer.
 */
export function readAnswer(user: string, { columns, rows }: AuthQueryRows): AuthQueryAnswer | string {
  const who = `for user ${JSON.stringify(user)}`
  if (columns.length < 2) {
    return `auth.query returns ${columns.length} column(s); it must return two, the user name and the stored password.`
  }
  const [row, second] = rows
  if (second !== undefined) {
    return `auth.query returned ${rows.length} rows ${who}; add a WHERE clause that compares the user name with $1.`
  }
  if (row === undefined) return { kind: 'not-found' }
  const [name = null, password = null] = row
  if (name !== user) {
    return `auth.query returned the row of ${JSON.stringify(name)} ${who}; it must compare the user name with $1.`
  }
  if (password === null) return { kind: 'found', name, verifier: null }
  const verifier = parseVerifier(password)
  if (verifier === null) {
    return (
      `auth.query returned a password ${who} that is neither "SCRAM-SHA-256$…" nor "md5…"; its second column must ` +
      'be what pg_authid.rolpassword holds.'
    )
  }
  return { kind: 'found', name, verifier }
}
