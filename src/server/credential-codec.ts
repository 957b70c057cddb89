import type { ScramCredential } from '../auth/scram-client.ts'
import type { ServerCredential } from './server-target.ts'

/** A credential as JSON can say it. */
export interface EncodedCredential {
  readonly password: string | null
  readonly md5Hash: string | null
  /** Base64. */
  readonly keys: { readonly client: string; readonly server: string } | null
  readonly scramPassword: string | null
}

/** As `decodeCredential` reads it. */
export function encodeCredential({ scram, password, md5Hash }: ServerCredential): EncodedCredential {
  const keys =
    scram?.kind === 'keys'
      ? { client: scram.clientKey.toString('base64'), server: scram.serverKey.toString('base64') }
      : null
  return { password, md5Hash, keys, scramPassword: scram?.kind === 'password' ? scram.password : null }
}

/** What `encodeCredential` was given. */
export function decodeCredential({ password, md5Hash, keys, scramPassword }: EncodedCredential): ServerCredential {
  let scram: ScramCredential | null = null
  if (keys !== null) {
    const key = (text: string): Buffer => Buffer.from(text, 'base64')
    scram = { kind: 'keys', clientKey: key(keys.client), serverKey: key(keys.server) }
  } else if (scramPassword !== null) scram = { kind: 'password', password: scramPassword }
  return { scram, password, md5Hash }
}
