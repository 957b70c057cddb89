import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ConfigError } from '../../../../errors.ts'
import { clusterPassword } from './cluster-password.ts'
import { readClusterState, writeClusterState } from './cluster-state.ts'

const root = mkdtempSync(join(tmpdir(), 'switchyard-state-'))
const owner = { uid: process.getuid!(), gid: process.getgid!(), switched: false }
after(() => rmSync(root, { recursive: true }))

test('what was written is read again, and a new cluster has nothing', async () => {
  const directory = mkdtempSync(join(root, 'd-'))
  assert.equal(await readClusterState(directory), null)
  for (const home of [null, '/var/lib/x']) {
    const state = { home, ports: { 'shard-1': 15432, 'shard-2': 15433 } }
    await writeClusterState(directory, state, owner)
    assert.deepEqual(await readClusterState(directory), state)
  }
  assert.deepEqual(readdirSync(directory), ['cluster.json'])
})

test('a damaged file is refused with its path and what it should read like', async () => {
  const directory = mkdtempSync(join(root, 'd-'))
  for (const text of [
    '',
    '{',
    '[]',
    '{"home":"relative","ports":{}}',
    '{"home":null,"ports":{"shard-1":70000}}',
    'null',
  ]) {
    writeFileSync(join(directory, 'cluster.json'), text)
    await assert.rejects(
      readClusterState(directory),
      (error) => error instanceof ConfigError && error.message.includes(`${directory}/cluster.json is damaged`),
      text,
    )
  }
})

test('a password is made once, readable for its owner only, and kept', async () => {
  const directory = mkdtempSync(join(root, 'd-'))
  const password = await clusterPassword(directory, false, owner)
  assert.match(password, /^[A-Za-z0-9_-]{32}$/)
  assert.equal(statSync(join(directory, 'password')).mode & 0o777, 0o600)
  assert.equal(readFileSync(join(directory, 'password'), 'utf8'), `${password}\n`)
  assert.equal(await clusterPassword(directory, true, owner), password)
})

test('a lost password of existing shards is not made up anew', async () => {
  const directory = mkdtempSync(join(root, 'd-'))
  await assert.rejects(clusterPassword(directory, true, owner), /password is missing, and the shards .* no other/)
  assert.deepEqual(readdirSync(directory), [])
})
