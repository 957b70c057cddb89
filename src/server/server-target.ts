import type { ScramCredential } from '../auth/scram-client.ts'
import type { Shard } from '../shard/topology.ts'

/** What proves to a shard who we are; null where it must not ask. */
export interface ServerCredential {
  readonly scram: ScramCredential | null
  /** For cleartext and MD5. */
  readonly password: string | null
  /** `md5…` as stored, when that is all we know. */
  readonly md5Hash: string | null
}

/** Whether a shard could tell the one from the other. */
export function sameCredential(one: ServerCredential, other: ServerCredential): boolean {
  return one.password === other.password && one.md5Hash === other.md5Hash && sameScram(one.scram, other.scram)
}

function sameScram(one: ScramCredential | null, other: ScramCredential | null): boolean {
  if (one === null || other === null) return one === other
  if (one.kind === 'password') return other.kind === 'password' && one.password === other.password
  return other.kind === 'keys' && one.clientKey.equals(other.clientKey) && one.serverKey.equals(other.serverKey)
}

/** One kind of server connection: where to, as whom, into which database. */
export interface ServerTarget {
  readonly shard: Shard
  readonly user: string
  readonly database: string
  readonly credential: ServerCredential
  /** More startup parameters. Only connections that are one client's for life have any. */
  readonly startup: readonly (readonly [string, string])[]
}
