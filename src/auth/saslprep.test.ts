import assert from 'node:assert/strict'
import { test } from 'node:test'
import { preparePassword } from './saslprep.ts'

// PostgreSQL is asked about the same characters in test/integration/auth-scram.test.ts.
const rows: readonly (readonly [string, string, string])[] = [
  ['ASCII stays, control characters too', 'a\tb\x01', 'a\tb\x01'],
  ['NFKC composes and folds compatibility characters', 'e\u0301\ufb01\u2168', '\u00e9fiIX'],
  ['a soft hyphen is removed (RFC 4013 §3)', 'I\u00adX', 'IX'],
  ['non-ASCII spaces become spaces', '\u00e9\u00a0\u3000x', '\u00e9  x'],
  ['U+200B, in two tables, becomes a space', '\u00e9\u200bx', '\u00e9 x'],
  ['a prohibited control character leaves all as it is', 'e\u0301\u0007', 'e\u0301\u0007'],
  ['a private use character leaves all as it is', 'e\u0301\ue000', 'e\u0301\ue000'],
  ['an emoji is unassigned in Unicode 3.2 and leaves all as it is', 'e\u0301\u{1f600}', 'e\u0301\u{1f600}'],
  ['nothing left leaves all as it is', '\u00ad\ufeff', '\u00ad\ufeff'],
  ['right-to-left text that begins and ends so is prepared', '\u05d0\u00a01\u05d0', '\u05d0 1\u05d0'],
  ['right-to-left text that ends otherwise is left', '\u0627\u00a01', '\u0627\u00a01'],
  ['right-to-left text that begins otherwise is left', '1\u00a0\u0627', '1\u00a0\u0627'],
  ['mixed directions are left', '\u05d0\u00a0a\u05d0', '\u05d0\u00a0a\u05d0'],
  ['what only normalisation makes prohibited is not looked for', '\u2167\u0340', '\u2167\u0340'],
  ['half of a surrogate pair is left', 'e\u0301\ud800', 'e\u0301\ud800'],
  ['the ends of a range belong to it', 'e\u0301\u0234e\u0301\u024f', 'e\u0301\u0234e\u0301\u024f'],
  ['the neighbours of a range do not', 'e\u0301\u0233\u0250', '\u00e9\u0233\u0250'],
]

for (const [name, password, prepared] of rows) {
  test(`SASLprep: ${name}`, () => {
    assert.equal(preparePassword(password), prepared)
  })
}
