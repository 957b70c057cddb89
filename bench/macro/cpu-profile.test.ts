import assert from 'node:assert/strict'
import { test } from 'node:test'
import { selfTimes } from './cpu-profile.ts'

const frame = (functionName: string, url = '', lineNumber = -1) => ({ functionName, url, lineNumber })

test('time goes to the function that ran, over all the places it was called from, without idle and sleeping time', () => {
  const times = selfTimes({
    nodes: [
      { id: 1, callFrame: frame('(idle)') },
      { id: 2, callFrame: frame('relay', 'file:///home/me/router/src/client/relay.ts', 9) },
      { id: 3, callFrame: frame('relay', 'file:///home/me/router/src/client/relay.ts', 9) },
      { id: 4, callFrame: frame('(garbage collector)') },
      { id: 5, callFrame: frame('wait', 'file:///home/me/router/src/io/poller.ts', 67) },
    ],
    samples: [1, 2, 3, 4, 5],
    timeDeltas: [5000, 1000, 2000, 1000, 9000],
  })
  assert.deepEqual(times, [
    { name: 'wait', place: 'src/io/poller.ts:68', selfMs: 9, percent: null },
    { name: 'relay', place: 'src/client/relay.ts:10', selfMs: 3, percent: 75 },
    { name: '(garbage collector)', place: '', selfMs: 1, percent: 25 },
  ])
})
