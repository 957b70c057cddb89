import type { PoolMode } from '../shard/plane-values.ts'
import { decodeCredential, type EncodedCredential, encodeCredential } from './credential-codec.ts'
import type { ServerCredential, ServerTarget } from './server-target.ts'

/** Whose a server connection is: a pool's, a listener's with this client_encoding, or one client's for life. */
export type ServerKind =
  | { readonly kind: 'pool'; readonly database: string; readonly user: string; readonly mode: PoolMode }
  | { readonly kind: 'listener'; readonly encoding: string }
  | { readonly kind: 'dedicated' }

/** What a successor has to know of a server connection to find its place. */
export interface KnownTarget {
  readonly shard: string
  readonly user: string
  readonly database: string
  readonly credential: ServerCredential
  readonly startup: readonly (readonly [string, string])[]
  readonly of: ServerKind
}

interface Encoded extends Omit<KnownTarget, 'credential'> {
  readonly credential: EncodedCredential
}

/** Where a server connection goes and whose it is, as it is kept in the value store for a successor. */
export function encodeTarget({ shard, user, database, credential, startup }: ServerTarget, of: ServerKind): Buffer {
  const known: Encoded = { shard: shard.name, user, database, credential: encodeCredential(credential), startup, of }
  return Buffer.from(JSON.stringify(known))
}

/** What `encodeTarget` wrote. */
export function decodeTarget(bytes: Buffer): KnownTarget {
  const encoded = JSON.parse(bytes.toString('utf8')) as Encoded
  return { ...encoded, credential: decodeCredential(encoded.credential) }
}
