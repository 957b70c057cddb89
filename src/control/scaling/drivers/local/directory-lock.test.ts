import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { acquireDirectoryLock } from './directory-lock.ts'
import { processStat } from './process-table.ts'

const self = { uid: 0, gid: 0, switched: false }
const root = mkdtempSync(join(tmpdir(), 'switchyard-lock-'))
after(() => rmSync(root, { recursive: true }))

function freshDirectory(): string {
  return mkdtempSync(join(root, 'd-'))
}

test('a held directory is refused with the pid of its holder, and free again after release', async () => {
  const directory = freshDirectory()
  const lock = await acquireDirectoryLock(directory, self)
  await assert.rejects(acquireDirectoryLock(directory, self), /managed by this process itself already/)
  await lock.release()
  await (await acquireDirectoryLock(directory, self)).release()
  assert.deepEqual(readdirSync(directory), [])
})

test('a living process of another pid is named', async () => {
  const directory = freshDirectory()
  writeFileSync(join(directory, 'lock'), `${process.ppid} ${processStat(process.ppid)?.startTicks}\n`)
  await assert.rejects(acquireDirectoryLock(directory, self), new RegExp(`process ${process.ppid} already`))
})

test('locks of dead processes, of a pid used again, and damaged ones do not hold', async () => {
  for (const stale of [`${2 ** 30} 5\n`, `${process.ppid} 1\n`, '', 'garbage']) {
    const directory = freshDirectory()
    writeFileSync(join(directory, 'lock'), stale)
    const lock = await acquireDirectoryLock(directory, self)
    assert.match(readFileSync(join(directory, 'lock'), 'utf8'), new RegExp(`^${process.pid} `), stale)
    await lock.release()
    assert.deepEqual(readdirSync(directory), [], stale)
  }
})

test('of many that start at once over a stale lock exactly one gets it', async () => {
  const directory = freshDirectory()
  writeFileSync(join(directory, 'lock'), `${2 ** 30} 5\n`)
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => acquireDirectoryLock(directory, self)))
  assert.equal(outcomes.filter((outcome) => outcome.status === 'fulfilled').length, 1)
})

test('release leaves a lock alone that another process has taken meanwhile', async () => {
  const directory = freshDirectory()
  const lock = await acquireDirectoryLock(directory, self)
  writeFileSync(join(directory, 'lock'), '77 88\n')
  await lock.release()
  assert.equal(readFileSync(join(directory, 'lock'), 'utf8'), '77 88\n')
})
