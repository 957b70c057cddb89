import { createHmac } from 'node:crypto'
import type { Md5Verifier, ScramVerifier, UserValue } from '../shard/plane-values.ts'
import { scramKeyBytes } from './scram-keys.ts'
import { defaultScramIterations, scramSaltBytes } from './scram-verifier.ts'

/** What a login shows of its user before it ends, however it ends. */
export interface LoginShape {
  /** Method `md5` asks for an MD5 answer; else for SCRAM. */
  readonly asksForMd5: boolean
  /** A password in clear text is checked with MD5; else with SCRAM's PBKDF2. */
  readonly checksWithMd5: boolean
  /** Of SCRAM. */
  readonly iterations: number
}

const DEFAULT_SHAPE: LoginShape = { asksForMd5: false, checksWithMd5: false, iterations: defaultScramIterations }

/** The shape of a user's logins, or null for one that has no secret. */
export function loginShape({ verifier, password }: UserValue): LoginShape | null {
  if (verifier === null && password === null) return null
  return {
    asksForMd5: verifier?.kind === 'md5' || password !== null,
    checksWithMd5: verifier?.kind === 'md5',
    iterations: verifier?.kind === 'scram-sha-256' ? verifier.iterations : defaultScramIterations,
  }
}

/** How many users have logins of each shape. Users that do not exist are given shapes in the same proportion. */
export class LoginShapes {
  readonly #counts = new Map<string, { readonly shape: LoginShape; users: number }>()
  #total = 0

  add(user: UserValue): void {
    const shape = loginShape(user)
    if (shape === null) return
    const key = `${shape.asksForMd5} ${shape.checksWithMd5} ${shape.iterations}`
    const count = this.#counts.get(key) ?? { shape, users: 0 }
    count.users++
    this.#counts.set(key, count)
    this.#total++
  }

  /** `fraction` in [0, 1): of all users, in a fixed order. PostgreSQL's own defaults while there are none. */
  at(fraction: number): LoginShape {
    let left = fraction * this.#total
    for (const key of [...this.#counts.keys()].sort()) {
      const count = this.#counts.get(key)
      if (count !== undefined && left < count.users) return count.shape
      left -= count?.users ?? 0
    }
    return DEFAULT_SHAPE
  }
}

/** What stands in for a user that does not exist, or has no secret for the method asked for. Nobody can log in with it. */
export interface MockAccount {
  readonly asksForMd5: boolean
  readonly scram: ScramVerifier
  /** What a password in clear text is checked against. */
  readonly cleartext: ScramVerifier | Md5Verifier
}

/**
 * Shape and salt depend on the user's name, `secret` (32 random bytes, kept for as long as the users' own salts are) and the
 * proportions only, so asking twice does not give it away. To be made for users that exist too: it takes time.
 */
export function mockAccount(user: string, secret: Uint8Array, shapes: LoginShapes): MockAccount {
  const digest = createHmac('sha256', secret).update(user, 'utf8').digest()
  const shape = shapes.at(digest.readUInt32BE(scramSaltBytes) / 2 ** 32)
  const noKey = Buffer.alloc(scramKeyBytes).toString('base64')
  const scram: ScramVerifier = {
    kind: 'scram-sha-256',
    iterations: shape.iterations,
    salt: digest.subarray(0, scramSaltBytes).toString('base64'),
    storedKey: noKey,
    serverKey: noKey,
  }
  const md5: Md5Verifier = { kind: 'md5', hash: `md5${digest.toString('hex', 0, 16)}` }
  return { asksForMd5: shape.asksForMd5, scram, cleartext: shape.checksWithMd5 ? md5 : scram }
}

/** Where nobody is asked for a secret. */
export const NO_ACCOUNT: MockAccount = mockAccount('', Buffer.alloc(0), new LoginShapes())
