import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Crash, type Culprit, quarantineVerdict } from './quarantine.ts'

const client: Culprit = { kind: 'client', slot: 7, generation: 3 }

/** The verdicts over these crashes, one after another. */
function verdicts(...crashes: readonly Crash[]): readonly boolean[] {
  let remembered: readonly Crash[] = []
  return crashes.map((crash) => {
    const verdict = quarantineVerdict(remembered, crash)
    remembered = verdict.crashes
    return verdict.quarantined
  })
}

test('a connection that was being served at two crashes within a minute is not handed on again', () => {
  assert.deepEqual(verdicts({ culprit: client, at: 1_000 }, { culprit: client, at: 60_999 }), [false, true])
})

test('two crashes a minute apart are chance', () => {
  assert.deepEqual(verdicts({ culprit: client, at: 1_000 }, { culprit: client, at: 61_000 }), [false, false])
})

test('crashes in between that concern others do not hide the second one', () => {
  const other: Culprit = { ...client, slot: 8 }
  assert.deepEqual(
    verdicts(
      { culprit: client, at: 0 },
      { culprit: other, at: 1 },
      { culprit: client, at: 2 },
      { culprit: other, at: 3 },
    ),
    [false, false, true, true],
  )
})

test('whoever has the slot later, and a server connection with the same number, are somebody else', () => {
  assert.deepEqual(
    verdicts(
      { culprit: client, at: 0 },
      { culprit: { ...client, generation: 4 }, at: 1 },
      { culprit: { ...client, kind: 'server' }, at: 2 },
    ),
    [false, false, false],
  )
})

test('no more is remembered than matters', () => {
  const first = quarantineVerdict([], { culprit: client, at: 0 })
  const later = { culprit: { ...client, slot: 9 }, at: 100_000 }
  assert.deepEqual(quarantineVerdict(first.crashes, later).crashes, [later])
})
