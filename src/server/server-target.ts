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

/** One kind of server connection: where to, as whom, into which database. */
export interface ServerTarget {
  readonly shard: Shard
  readonly user: string
  readonly database: string
  readonly credential: ServerCredential
  /** More startup parameters. Only connections that are one client's for life have any. */
  readonly startup: readonly (readonly [string, string])[]
}
