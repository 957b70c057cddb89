import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'

const gs2Header = 'n,,'

/**
 * The client's side of one SCRAM-SHA-256 login (RFC 5802, RFC 7677), made for thousands of logins with one password: `saltedPasswords`
 * is shared between them and remembers the 4,096 hashes for each salt. Passwords are ASCII here, so SASLprep changes nothing.
 */
export class ScramLogin {
  readonly clientFirst: string
  readonly #password: string
  readonly #clientFirstBare: string
  readonly #nonce: string
  readonly #saltedPasswords: Map<string, Buffer>
  #serverSignature = ''

  constructor(
    password: string,
    saltedPasswords: Map<string, Buffer>,
    user = '',
    nonce = randomBytes(18).toString('base64'),
  ) {
    this.#password = password
    this.#saltedPasswords = saltedPasswords
    this.#nonce = nonce
    this.#clientFirstBare = `n=${user},r=${nonce}`
    this.clientFirst = gs2Header + this.#clientFirstBare
  }

  /** The answer to the server's first message. Throws when that is malformed or answers somebody else's nonce. */
  clientFinal(serverFirst: string): string {
    const [, nonce, salt, iterations] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst) ?? []
    if (nonce === undefined || salt === undefined || iterations === undefined) {
      throw new Error(`not a SCRAM server-first-message: ${serverFirst}`)
    }
    if (!nonce.startsWith(this.#nonce))
      throw new Error('the server answered with a nonce that does not begin with ours')
    const salted = this.#saltedPassword(salt, Number(iterations))
    const withoutProof = `c=${Buffer.from(gs2Header).toString('base64')},r=${nonce}`
    const authMessage = `${this.#clientFirstBare},${serverFirst},${withoutProof}`
    const clientKey = hmac(salted, 'Client Key')
    const signature = hmac(createHash('sha256').update(clientKey).digest(), authMessage)
    const proof = clientKey.map((byte, index) => byte ^ (signature[index] ?? 0))
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), authMessage).toString('base64')
    return `${withoutProof},p=${Buffer.from(proof).toString('base64')}`
  }

  /** Throws unless the server's last message proves that it knows the password too. */
  verify(serverFinal: string): void {
    if (serverFinal !== `v=${this.#serverSignature}`) throw new Error(`the server's proof is wrong: ${serverFinal}`)
  }

  #saltedPassword(salt: string, iterations: number): Buffer {
    const key = `${iterations} ${salt}`
    const known = this.#saltedPasswords.get(key)
    if (known !== undefined) return known
    const made = pbkdf2Sync(this.#password, Buffer.from(salt, 'base64'), iterations, 32, 'sha256')
    this.#saltedPasswords.set(key, made)
    return made
  }
}

function hmac(key: Buffer, message: string): Buffer {
  return createHmac('sha256', key).update(message).digest()
}
