import assert from 'node:assert/strict'
import { test } from 'node:test'
import { movedConnInfo } from './conninfo.ts'

test('only the place changes', () => {
  const before = String.raw`user=rep  password='it\'s a secret' host = old.example hostaddr=10.0.0.1 port=5432 sslmode=require`
  assert.equal(
    movedConnInfo(before, { host: '127.0.0.1', port: 6000 }),
    String.raw`host='127.0.0.1' port=6000 user=rep password='it\'s a secret' sslmode=require`,
  )
})

test('an empty one becomes a place', () => {
  assert.equal(movedConnInfo('', { host: '/tmp', port: 5433 }), "host='/tmp' port=5433")
})
