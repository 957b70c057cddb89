import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ConfigError } from '../errors.ts'
import { claimDataDirectory } from './data-directory.ts'

function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'sy-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

test('a missing data directory is made, for this user only, with a run directory of the same kind', (t) => {
  const path = join(scratch(t), 'a', 'data')
  const claim = claimDataDirectory(path, 4711)
  assert.equal(statSync(path).mode & 0o777, 0o700)
  assert.equal(claim.runDirectory, join(path, 'run'))
  assert.equal(statSync(claim.runDirectory).mode & 0o777, 0o700)
  assert.equal(readFileSync(join(path, 'switchyard.lock'), 'utf8'), `4711\n${join(path, 'run')}\n`)
  claim.release()
  assert.equal(existsSync(claim.runDirectory), false)
})

test('a second router is refused, with the process that has the directory', (t) => {
  const path = scratch(t)
  const claim = claimDataDirectory(path, 4711)
  assert.throws(
    () => claimDataDirectory(path, 1),
    (error) => {
      assert.ok(error instanceof ConfigError)
      assert.match(error.message, /is in use by another Switchyard \(process 4711\); stop that one/)
      return true
    },
  )
  assert.ok(existsSync(claim.runDirectory), 'the first one is not disturbed')
  claim.release()
  claimDataDirectory(path, 1).release()
})

test('what a killed router left in the run directory is gone', (t) => {
  const path = scratch(t)
  mkdirSync(join(path, 'run'))
  writeFileSync(join(path, 'run', 'control.sock'), '')
  writeFileSync(join(path, 'switchyard.lock'), '999999999\n')
  const claim = claimDataDirectory(path, 12)
  assert.equal(existsSync(join(claim.runDirectory, 'control.sock')), false)
  assert.equal(readFileSync(join(path, 'switchyard.lock'), 'utf8'), `12\n${claim.runDirectory}\n`)
  claim.release()
})

test('sockets go elsewhere when their paths would be too long for the kernel', (t) => {
  const path = join(scratch(t), 'd'.repeat(90))
  const claim = claimDataDirectory(path, 1)
  assert.equal(dirname(claim.runDirectory), tmpdir())
  assert.equal(statSync(claim.runDirectory).mode & 0o777, 0o700)
  claim.release()
  assert.equal(existsSync(claim.runDirectory), false)
})

test('a path that cannot be a directory is a sentence, not a stack', (t) => {
  const file = join(scratch(t), 'file')
  writeFileSync(file, '')
  assert.throws(() => claimDataDirectory(file, 1), /data directory .*file cannot be used \(.*\); choose one/)
})
