import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HoldLedger } from './hold-ledger.ts'

test('a plane that starts later is told of the shards that are held, and of no others', () => {
  const ledger = new HoldLedger()
  ledger.hold(1, 500)
  ledger.hold(2, 900)
  ledger.release(1)
  assert.deepEqual([ledger.shards, ledger.commands()], [[2], [{ op: 'hold', shard: 2, deadlineMs: 900 }]])
})
