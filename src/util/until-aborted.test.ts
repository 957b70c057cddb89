import assert from 'node:assert/strict'
import { test } from 'node:test'
import { untilAborted } from './until-aborted.ts'

test('it rejects with the reason of the signal, as soon as that is given', async () => {
  const abort = new AbortController()
  const reason = new Error('made way')
  const waited = Promise.race([untilAborted(abort.signal), new Promise(() => {})])
  abort.abort(reason)
  await assert.rejects(waited, reason)
})

test('nobody has to wait for it when it does', async () => {
  const abort = new AbortController()
  void untilAborted(abort.signal)
  abort.abort(new Error('made way'))
  // An unhandled rejection would fail this test.
  await new Promise((resolve) => setImmediate(resolve))
})
