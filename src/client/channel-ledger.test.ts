import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChannelLedger } from './channel-ledger.ts'

/** A ledger of a session that listens to these channels. */
function ledgerOf(...channels: string[]): ChannelLedger {
  const ledger = new ChannelLedger()
  for (const channel of channels) ledger.expect(channel)
  ledger.settle(channels)
  ledger.takeFresh()
  return ledger
}

test('what a LISTEN names is heard, and listened to once the server connection says so', () => {
  const ledger = ledgerOf('a')
  ledger.expect('b')
  ledger.expect('c')
  assert.deepEqual([[...ledger.channels], [...ledger.heard]], [['a'], ['a', 'b', 'c']])
  assert.equal(ledger.isOpen, true)
  assert.deepEqual(ledger.settle(['a', 'b']), ['c'])
  assert.deepEqual(
    [[...ledger.channels], [...ledger.heard]],
    [
      ['a', 'b'],
      ['a', 'b'],
    ],
  )
  assert.equal(ledger.isOpen, false)
})

test('what the last transaction has added is fresh, once', () => {
  const ledger = ledgerOf('a')
  ledger.expect('b')
  ledger.settle(['a', 'b'])
  assert.deepEqual([...ledger.takeFresh()], ['b'])
  assert.deepEqual([...ledger.takeFresh()], [])
})

test('what the session does not listen to any more need not be heard', () => {
  const ledger = ledgerOf('a', 'b')
  assert.deepEqual(ledger.settle(['b']), ['a'])
  assert.deepEqual(ledger.settle([]), ['b'])
  assert.equal(ledger.isEmpty, true)
})

test('a channel that nobody hears is foreign: known, and not to be heard', () => {
  const ledger = ledgerOf('a')
  assert.deepEqual(ledger.settle(['a', 'x']), [])
  assert.deepEqual([ledger.hasForeign, ledger.knows('x'), ledger.hears('x')], [true, true, false])
  assert.deepEqual([[...ledger.channels], ledger.isSilent], [['a'], false])
  ledger.settle(['x'])
  assert.deepEqual([ledger.isSilent, ledger.isEmpty], [true, false])
})

test('after a commit in the middle of a pipeline nothing is open, and what it may have brought is certain', () => {
  const ledger = ledgerOf('a')
  ledger.expect('b')
  ledger.commit()
  assert.deepEqual([ledger.isOpen, ledger.mayHaveCommitted], [false, true])
  ledger.expect('c')
  assert.equal(ledger.isOpen, true)
  assert.deepEqual([...ledger.certain], ['a', 'b'])
})

test('of a transaction that is lost, nothing is left but what the session listened to before', () => {
  const ledger = ledgerOf('a')
  ledger.expect('a')
  ledger.expect('b')
  ledger.commit()
  assert.deepEqual(ledger.abandon(), ['b'])
  assert.deepEqual([[...ledger.heard], ledger.isOpen, ledger.mayHaveCommitted], [['a'], false, false])
})

test('another process has the same ledger from its snapshot', () => {
  const ledger = ledgerOf('a')
  ledger.expect('b')
  ledger.settle(['a', 'b', 'x'])
  ledger.expect('c')
  ledger.commit()
  ledger.expect('d')
  const other = new ChannelLedger()
  other.restore(JSON.parse(JSON.stringify(ledger.snapshot)))
  assert.deepEqual(other.snapshot, {
    channels: ['a', 'b'],
    pending: ['c', 'd'],
    committed: ['c'],
    fresh: ['b'],
    foreign: ['x'],
  })
})
