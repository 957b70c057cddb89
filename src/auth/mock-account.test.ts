import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { UserValue, Verifier } from '../shard/plane-values.ts'
import { buildMd5Verifier } from './md5.ts'
import { LoginShapes, mockAccount } from './mock-account.ts'
import { buildScramVerifier, formatScramVerifier, parseVerifier } from './scram-verifier.ts'

const secret = Buffer.alloc(32, 1)

function user(verifier: Verifier | null, password: string | null = null): UserValue {
  return { name: 'u', verifier, password, console: 'none', poolMode: null, poolSize: null, maxClients: null }
}

const scram = (iterations: number): UserValue => user(buildScramVerifier('x', Buffer.alloc(16), iterations))

function shapesOf(...users: readonly UserValue[]): LoginShapes {
  const shapes = new LoginShapes()
  for (const one of users) shapes.add(one)
  return shapes
}

test('a mock is the same each time, differs by user and by secret, and looks like a genuine verifier', () => {
  const shapes = shapesOf()
  const mock = mockAccount('nobody', secret, shapes)
  assert.deepEqual(mockAccount('nobody', secret, shapes), mock)
  assert.notEqual(mockAccount('nobody2', secret, shapes).scram.salt, mock.scram.salt)
  assert.notEqual(mockAccount('nobody', Buffer.alloc(32, 2), shapes).scram.salt, mock.scram.salt)
  assert.deepEqual(parseVerifier(formatScramVerifier(mock.scram)), mock.scram)
  assert.equal(Buffer.from(mock.scram.salt, 'base64').length, 16)
})

test('without users it is what PostgreSQL makes of a password by default', () => {
  const { asksForMd5, scram: verifier, cleartext } = mockAccount('nobody', secret, shapesOf(user(null)))
  assert.deepEqual([asksForMd5, verifier.iterations, cleartext], [false, 4096, verifier])
})

test('where all users are alike, so is every mock', () => {
  const cases: readonly (readonly [UserValue, boolean, number, string])[] = [
    [scram(4096), false, 4096, 'scram-sha-256'],
    [scram(15_000), false, 15_000, 'scram-sha-256'],
    [user(scram(4096).verifier, 'x'), true, 4096, 'scram-sha-256'],
    [user(buildMd5Verifier('x', 'u')), true, 4096, 'md5'],
  ]
  for (const [one, asksForMd5, iterations, kind] of cases) {
    for (let n = 0; n < 20; n++) {
      const mock = mockAccount(`nobody${n}`, secret, shapesOf(one, one))
      assert.deepEqual([mock.asksForMd5, mock.scram.iterations, mock.cleartext.kind], [asksForMd5, iterations, kind])
    }
  }
})

test('where they differ, mocks do in the same proportion', () => {
  const shapes = shapesOf(scram(5000), scram(5000), scram(5000), scram(6000), user(null))
  const names = Array.from({ length: 1000 }, (_, n) => `nobody${n}`)
  const rare = names.filter((name) => mockAccount(name, secret, shapes).scram.iterations === 6000)
  assert.ok(rare.length > 150 && rare.length < 350, `${rare.length} of 1000 for 1 of 4`)
})

test('the order in which users are known does not matter', () => {
  const [a, b] = [shapesOf(scram(5000), scram(6000)), shapesOf(scram(6000), scram(5000))]
  for (let n = 0; n < 50; n++) assert.deepEqual(mockAccount(`u${n}`, secret, a), mockAccount(`u${n}`, secret, b))
})
