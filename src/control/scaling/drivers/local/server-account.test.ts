import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../../../../errors.ts'
import { accountOfData, chooseServerAccount } from './server-account.ts'

const passwd = 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65533::/:/bin/false\nme:x:1000:1001::/home/me:/bin/sh\n'
const withPostgres = `${passwd}postgres:x:101:104::/:/bin/sh\n`
const root = { uid: 0, gid: 0 }

test('an ordinary user runs the servers itself, also one without a name', () => {
  assert.deepEqual(chooseServerAccount({ uid: 1000, gid: 1001 }, passwd), {
    uid: 1000,
    gid: 1001,
    name: 'me',
    switched: false,
  })
  assert.equal(chooseServerAccount({ uid: 4242, gid: 1 }, passwd).name, '4242')
})

test('root runs them as postgres, else as nobody, and says what to do when there is neither', () => {
  assert.deepEqual(chooseServerAccount(root, withPostgres), { uid: 101, gid: 104, name: 'postgres', switched: true })
  assert.deepEqual(chooseServerAccount(root, passwd), { uid: 65534, gid: 65533, name: 'nobody', switched: true })
  assert.throws(() => chooseServerAccount(root, 'root:x:0:0::/root:/bin/sh\n'), /useradd --system postgres/)
})

test('a postgres user with the uid of root is not used', () => {
  assert.equal(chooseServerAccount(root, `${passwd}postgres:x:0:0::/:/bin/sh\n`).name, 'nobody')
})

test('existing data decides: root runs its servers as the owner, the owner as itself', () => {
  const owner = { uid: 1000, gid: 1001, path: '/data' }
  assert.deepEqual(accountOfData(root, owner, passwd), { uid: 1000, gid: 1001, name: 'me', switched: true })
  assert.equal(accountOfData({ uid: 1000, gid: 5 }, owner, passwd).switched, false)
})

test("another user's data and root's data are refused with a sentence", () => {
  assert.throws(() => accountOfData({ uid: 7, gid: 7 }, { uid: 1000, gid: 1, path: '/data' }, passwd), ConfigError)
  assert.throws(() => accountOfData({ uid: 7, gid: 7 }, { uid: 1000, gid: 1, path: '/data' }, passwd), /Start .* as me/)
  assert.throws(() => accountOfData(root, { uid: 0, gid: 0, path: '/data' }, passwd), ConfigError)
})
