import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AccountAnswer } from '../client/client-host.ts'
import type { PlaneEvent } from '../memory/control-protocol.ts'
import type { UserValue } from '../shard/plane-values.ts'
import { Accounts } from './accounts.ts'

/** The configuration's, for accounts that do not exist. */
const SECRET = Buffer.alloc(32, 1).toString('base64')

const user = (name: string, password: string | null = null, more: Partial<UserValue> = {}): UserValue => ({
  name,
  verifier: null,
  password,
  console: 'none',
  poolMode: null,
  poolSize: null,
  maxClients: null,
  ...more,
})

interface Bench {
  readonly accounts: Accounts
  readonly told: PlaneEvent[]
  /** What lookups came to, in order. */
  readonly answers: AccountAnswer[]
  lookUp(name: string): { cancel(): void } | null
}

function open({ listens = true } = {}): Bench {
  const told: PlaneEvent[] = []
  const answers: AccountAnswer[] = []
  const accounts = new Accounts((event) => {
    told.push(event)
    return listens
  })
  const lookUp = (name: string): { cancel(): void } | null =>
    accounts.lookUp(name, 'shop', (account) => answers.push(account))
  return { accounts, told, answers, lookUp }
}

test('a listed user is known, and nobody else', () => {
  const { accounts } = open()
  accounts.replace([user('ada', 'secret')], SECRET)
  assert.equal(accounts.get('ada')?.password, 'secret')
  assert.equal(accounts.listed('ada')?.password, 'secret')
  assert.deepEqual([accounts.get('bob'), accounts.listed('bob')], [null, null])
})

test('control is asked, and what it found is told and remembered', () => {
  const { accounts, told, answers, lookUp } = open()
  assert.ok(lookUp('ada') !== null)
  assert.deepEqual([told, answers], [[{ op: 'account', user: 'ada', database: 'shop' }], []])
  const ada = user('ada', 'found')
  accounts.found('ada', ada, null)
  assert.deepEqual([answers, accounts.get('ada')], [[{ user: ada, error: null }], ada])
  assert.equal(accounts.listed('ada'), null, 'listed is what the configuration says')
})

test('who is looked up already is not asked for again; everybody gets the answer, once', () => {
  const { accounts, told, answers, lookUp } = open()
  lookUp('ada')
  lookUp('ada')
  lookUp('bob')
  assert.equal(told.length, 2)
  accounts.found('ada', null, null)
  assert.deepEqual(answers, [
    { user: null, error: null },
    { user: null, error: null },
  ])
  accounts.found('ada', null, null)
  assert.equal(answers.length, 2)
})

test('the next lookup asks anew', () => {
  const { accounts, told, lookUp } = open()
  lookUp('ada')
  accounts.found('ada', user('ada'), null)
  lookUp('ada')
  assert.equal(told.length, 2)
})

test('whoever has left hears nothing', () => {
  const { accounts, answers, lookUp } = open()
  lookUp('ada')?.cancel()
  accounts.found('ada', user('ada'), null)
  assert.deepEqual(answers, [])
})

test('while control does not listen nobody is asked, and nobody waits', () => {
  const { accounts, answers, lookUp } = open({ listens: false })
  assert.equal(lookUp('ada'), null)
  accounts.found('ada', user('ada'), null)
  assert.deepEqual(answers, [])
})

test('a listed user without a secret has what was found; one with a secret keeps its own', () => {
  const { accounts } = open()
  const verifier = { kind: 'md5', hash: 'md5' } as const
  accounts.replace([user('ada'), user('bob', 'listed'), user('eve', null, { verifier })], SECRET)
  assert.deepEqual(accounts.get('ada'), user('ada'))
  for (const name of ['ada', 'bob', 'eve']) accounts.found(name, user(name, 'found'), null)
  assert.deepEqual(
    ['ada', 'bob', 'eve'].map((name) => accounts.get(name)?.password),
    ['found', 'listed', null],
  )
})

test('a user that is not there any more is forgotten; one that could not be looked up is not', () => {
  const { accounts, answers, lookUp } = open()
  accounts.found('ada', user('ada', 'found'), null)
  lookUp('ada')
  accounts.found('ada', null, 'the shard is away')
  assert.deepEqual([answers, accounts.get('ada')?.password], [[{ user: null, error: 'the shard is away' }], 'found'])
  accounts.found('ada', null, null)
  assert.equal(accounts.get('ada'), null)
})

test('a new configuration forgets what was found under the old one', () => {
  const { accounts } = open()
  accounts.found('ada', user('ada', 'found'), null)
  accounts.replace([], SECRET)
  assert.equal(accounts.get('ada'), null)
})

test('when control is gone, lookups fail, and the next client asks anew', () => {
  const { accounts, told, answers, lookUp } = open()
  lookUp('ada')
  lookUp('bob')
  accounts.forget()
  assert.deepEqual(answers, [
    { user: null, error: 'the control process restarts' },
    { user: null, error: 'the control process restarts' },
  ])
  lookUp('ada')
  assert.equal(told.length, 3)
})

test('control hears whom its answer did not let in', () => {
  const { accounts, told } = open()
  accounts.refused('ada', 'shop')
  assert.deepEqual(told, [{ op: 'account-refused', user: 'ada', database: 'shop' }])
})

test('who does not exist looks like those who do: the listed ones, and the found ones once each', () => {
  const { accounts } = open()
  const names = Array.from({ length: 200 }, (_, at) => `nobody ${at}`)
  const md5Share = (): number => names.filter((name) => accounts.mock(name).asksForMd5).length / names.length
  const scram = { kind: 'scram-sha-256', iterations: 4096, salt: '', storedKey: '', serverKey: '' } as const
  accounts.replace([user('ada', null, { verifier: scram })], SECRET)
  assert.equal(md5Share(), 0)
  for (let time = 0; time < 20; time++) accounts.found('bob', user('bob', 'found'), null)
  assert.ok(md5Share() > 0.3 && md5Share() < 0.7, `${md5Share()}`)
  accounts.replace([user('bob', 'listed')], SECRET)
  assert.equal(md5Share(), 1)
})

test('the salt of a user that does not exist depends on the secret of the configuration', () => {
  const { accounts } = open()
  accounts.replace([], SECRET)
  const { salt } = accounts.mock('nobody').scram
  accounts.replace([], SECRET)
  assert.equal(accounts.mock('nobody').scram.salt, salt)
  accounts.replace([], Buffer.alloc(32, 2).toString('base64'))
  assert.notEqual(accounts.mock('nobody').scram.salt, salt)
})
