import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'

const sha256 = (data: Buffer): Buffer => createHash('sha256').update(data).digest()
const hmac = (key: Buffer, data: string): Buffer => createHmac('sha256', key).update(data).digest()

export interface ScramOptions {
  readonly password: string
  /** DER of the server's certificate: binds the exchange to the TLS channel (tls-server-end-point, SHA-256). */
  readonly certificate?: Buffer
  /** `y`: "I could bind, you did not offer it"; a server that did offer it must refuse. */
  readonly gs2Flag?: 'n' | 'y'
}

/**
 * The client's half of SCRAM-SHA-256 (RFC 5802, RFC 7677) for the tests, written apart from `src/auth` on purpose.
 * The user name is empty, as libpq sends it: PostgreSQL takes the one of the startup packet.
 */
export class ScramClient {
  readonly mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-256-PLUS'
  readonly first: string
  readonly #options: ScramOptions
  readonly #gs2: string
  readonly #bare: string
  #serverSignature = ''

  constructor(options: ScramOptions) {
    this.#options = options
    this.mechanism = options.certificate === undefined ? 'SCRAM-SHA-256' : 'SCRAM-SHA-256-PLUS'
    this.#gs2 = options.certificate === undefined ? `${options.gs2Flag ?? 'n'},,` : 'p=tls-server-end-point,,'
    this.#bare = `n=,r=${randomBytes(18).toString('base64')}`
    this.first = this.#gs2 + this.#bare
  }

  /** The client-final-message for the server's first one. */
  final(serverFirst: string): string {
    const fields = new Map(serverFirst.split(',').map((part) => [part[0], part.slice(2)]))
    const salt = Buffer.from(fields.get('s')!, 'base64')
    const salted = pbkdf2Sync(this.#options.password, salt, Number(fields.get('i')), 32, 'sha256')
    const clientKey = hmac(salted, 'Client Key')
    const { certificate } = this.#options
    const binding = certificate === undefined ? Buffer.alloc(0) : sha256(certificate)
    const channel = Buffer.concat([Buffer.from(this.#gs2), binding]).toString('base64')
    const withoutProof = `c=${channel},r=${fields.get('r')}`
    const authMessage = `${this.#bare},${serverFirst},${withoutProof}`
    const signature = hmac(sha256(clientKey), authMessage)
    const proof = clientKey.map((byte, at) => byte ^ signature[at]!)
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), authMessage).toString('base64')
    return `${withoutProof},p=${Buffer.from(proof).toString('base64')}`
  }

  /** Throws when the server does not know the password's verifier. */
  verify(serverFinal: string): void {
    if (serverFinal !== `v=${this.#serverSignature}`) throw new Error(`the server's signature is wrong: ${serverFinal}`)
  }
}
