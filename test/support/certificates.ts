import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { bits, boolean, der, integer, octets, oid, sequence, setOf, tagged, time, utf8 } from './der-writer.ts'

/** A certificate and its private key, PEM. */
export interface Credentials {
  readonly certificate: string
  readonly key: string
}

export interface CertificateOptions {
  readonly commonName: string
  /** DNS names and IP addresses of the subjectAltName extension. */
  readonly names?: readonly string[]
  /** Days from now until it expires; negative: it expired so long ago. */
  readonly validDays?: number
}

const ECDSA_WITH_SHA256 = sequence(oid('1.2.840.10045.4.3.2'))

/** An authority that signs certificates for one test (RFC 5280, ECDSA P-256), so that no tool but Node is needed. */
export class CertificateAuthority {
  /** PEM, what verifiers are given. */
  readonly certificate: string
  readonly #commonName: string
  readonly #key: KeyObject

  constructor(commonName = 'Switchyard test authority') {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.#commonName = commonName
    this.#key = privateKey
    this.certificate = this.#sign({ commonName }, publicKey, [
      extension('2.5.29.19', true, sequence(boolean(true))),
      extension('2.5.29.15', true, bits(Buffer.from([0b0000_0110]), 1)),
    ])
  }

  /** A leaf certificate with a key of its own. */
  issue(options: CertificateOptions): Credentials {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const names = (options.names ?? []).map(generalName)
    const extensions = names.length === 0 ? [] : [extension('2.5.29.17', false, sequence(...names))]
    const certificate = this.#sign(options, publicKey, extensions)
    return { certificate, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
  }

  #sign(options: CertificateOptions, subjectKey: KeyObject, extensions: Buffer[]): string {
    const until = Date.now() + (options.validDays ?? 2) * 86_400_000
    const body = sequence(
      tagged(0, integer(Buffer.from([2]))),
      integer(Buffer.concat([Buffer.from([0x40]), randomBytes(15)])),
      ECDSA_WITH_SHA256,
      distinguishedName(this.#commonName),
      sequence(time(new Date(Math.min(Date.now(), until) - 86_400_000)), time(new Date(until))),
      distinguishedName(options.commonName),
      subjectKey.export({ type: 'spki', format: 'der' }),
      ...(extensions.length === 0 ? [] : [tagged(3, sequence(...extensions))]),
    )
    const signature = sign('sha256', body, this.#key)
    const base64 = sequence(body, ECDSA_WITH_SHA256, bits(signature)).toString('base64')
    return `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`
  }
}

/** Writes `name.crt` into `directory` and returns its path. */
export function writeCertificate(directory: string, name: string, certificate: string): string {
  const path = join(directory, `${name}.crt`)
  writeFileSync(path, certificate)
  return path
}

/** Writes `name.crt` and `name.key` (0600) into `directory` and returns their paths, as configuration wants them. */
export function writeCredentials(
  directory: string,
  name: string,
  credentials: Credentials,
): { certificate: string; key: string } {
  const key = join(directory, `${name}.key`)
  writeFileSync(key, credentials.key, { mode: 0o600 })
  chmodSync(key, 0o600)
  return { certificate: writeCertificate(directory, name, credentials.certificate), key }
}

function distinguishedName(commonName: string): Buffer {
  return sequence(setOf(sequence(oid('2.5.4.3'), utf8(commonName))))
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value))
}

/** GeneralName of RFC 5280: [2] DNS name, [7] IP address. */
function generalName(name: string): Buffer {
  if (isIP(name) === 4) return der(0x87, Buffer.from(name.split('.').map(Number)))
  return der(0x82, Buffer.from(name))
}
