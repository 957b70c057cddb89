import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { ConfigError } from '../../errors.ts'
import { loginSecrets } from './login-secrets.ts'

test('made once, and the same at every start; nobody else may read it', () => {
  const directory = temporaryDirectory()
  const first = loginSecrets(directory)
  assert.deepEqual(loginSecrets(directory), first)
  assert.equal(first.verifiers.length, 32)
  assert.equal(Buffer.from(first.mock, 'base64').length, 32)
  assert.equal(statSync(join(directory, 'login-secret')).mode & 0o777, 0o600)
  assert.notDeepEqual(loginSecrets(temporaryDirectory()), first)
})

test('neither of the two tells the other, or what is in the file', () => {
  const directory = temporaryDirectory()
  const { verifiers, mock } = loginSecrets(directory)
  const all = [verifiers.toString('base64'), mock, readFileSync(join(directory, 'login-secret')).toString('base64')]
  assert.equal(new Set(all).size, 3)
})

test('a file that was cut off is made anew', () => {
  const directory = temporaryDirectory()
  writeFileSync(join(directory, 'login-secret'), 'short')
  const made = loginSecrets(directory)
  assert.deepEqual(loginSecrets(directory), made)
})

test('a file that cannot be read is told with its name', () => {
  const directory = temporaryDirectory()
  mkdirSync(join(directory, 'login-secret'))
  assert.throws(
    () => loginSecrets(directory),
    (error) => error instanceof ConfigError && /login-secret/.test(error.message),
  )
})
