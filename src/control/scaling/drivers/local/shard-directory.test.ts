import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shardDirectory } from './shard-directory.ts'

test('a shard whose socket path would be too long for the system has none', () => {
  // "/…/shard-1/socket/.s.PGSQL.65535" adds 30 bytes to the directory's path.
  assert.equal(shardDirectory(`/${'x'.repeat(76)}`, 'shard-1').sockets, `/${'x'.repeat(76)}/shard-1/socket`)
  assert.equal(shardDirectory(`/${'x'.repeat(77)}`, 'shard-1').sockets, null)
})

test('the limit counts bytes, not characters', () => {
  assert.equal(shardDirectory(`/${'é'.repeat(39)}`, 'shard-1').sockets, null)
})
