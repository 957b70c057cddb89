import type { UserValue } from './plane-values.ts'

/** For tests: the user ada, who has no secret and no settings of her own but `changes`. */
export function testUserValue(changes: Partial<UserValue> = {}): UserValue {
  return {
    name: 'ada',
    verifier: null,
    password: null,
    console: 'none',
    poolMode: null,
    poolSize: null,
    maxClients: null,
    ...changes,
  }
}
