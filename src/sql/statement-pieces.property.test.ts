import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PIN } from '../memory/client-slots.ts'
import { read } from './statement-facts.fixture.ts'
import { StatementFacts } from './statement-facts.ts'

interface Said {
  readonly pins: number
  readonly flags: number
  readonly settings: readonly string[]
  readonly values: readonly unknown[]
}

const saidBy = ({ pins, flags, settings, values }: StatementFacts): Said => ({
  pins,
  flags,
  settings: [...settings],
  values: [...values],
})

/** What the text says when it comes in pieces of these sizes, over and over; `most`: how much was kept for the next one. */
function inPieces(text: Buffer, sizes: readonly number[]): { said: Said; most: number } {
  const facts = new StatementFacts(null)
  facts.begin()
  let kept = Buffer.alloc(0)
  let most = 0
  for (let at = 0, turn = 0; at < text.length || turn === 0; turn++) {
    const stop = Math.min(text.length, at + (sizes[turn % sizes.length] ?? 1))
    // Bytes before and after that are none of the piece's must not matter.
    const piece = Buffer.concat([Buffer.from('"'), kept, text.subarray(at, stop), Buffer.from('"')])
    const used = facts.goOn(piece, 1, piece.length - 1, stop === text.length)
    kept = piece.subarray(used, piece.length - 1)
    most = Math.max(most, kept.length)
    at = stop
  }
  return { said: saidBy(facts), most }
}

const FRAGMENTS = [
  ...["select set_config('a.b', 'c', false)", 'set role to x', 'set local time zone 1', 'reset a.b', 'close c'],
  ...['select 1', "insert into t (a, b) values (1, 'x'), (2, 'it''s'), (3.5e2, null)", 'begin', 'commit and chain'],
  ...['rollback to a', "commit prepared 'x'", 'create temp table t (a int)', 'set work_mem to 1', 'reset all'],
  ...["set search_path to pg_temp, 'public'", 'select lower(a)::numeric(10, 2), f(1)', 'deallocate all', 'discard all'],
  ...["select E'a\\'b', U&'c', $$d'$$, $tag$ $$ ' $tag$, b'1', $1", 'select "a""b" from "pg_temp".x', 'listen x'],
  ...[
    'create function f() returns int language sql begin atomic select 1; select 2; end',
    'declare c cursor for select 1',
  ],
  ...[
    "select set_config('a.b', 'c', true), nextval('s'), currval('s')",
    'select a/b*c-d -- no f(1)\n',
    'select /* f( */ 1',
  ],
  ...[
    'with x (a) as not materialized (select 1) select * from x',
    'select x operator(s.+) y',
    'select /* /* */ f( */ 1',
  ],
]
/** Longer than a piece. */
const LONG_STRINGS = [
  `select '${"x''y".repeat(3000)}'`,
  `select E'${"\\\\ \\' ".repeat(2000)}', lower('a')`,
  `insert into t values ($long$${"'; set x to 1; $lon $$".repeat(600)}$long$)`,
  `insert into t values ${"(1, 'abc', null, $2),\n".repeat(700)} (1)`,
]
const LONG_OTHERS = [
  `set application_name to '${'n'.repeat(9000)}'`,
  `select "${'a""b'.repeat(3000)}"`,

  `/* ${'* / /* */'.repeat(1500)} */`,
  `-- ${'"\'/*'.repeat(3000)}\n`,
  `select 1 /*${'*'.repeat(9000)}*/`,
]
/** The meaning of a backslash before a quote, and quotes that never end. */
const UNDECIDED = ["select '\\''", "'", '"', '$a$', '/*', "e'\\", '\\', '$', '$a', 'U&"x"', '\0', '1abz', ';;']

const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 4000, max: 9000 })), {
  minLength: 1,
  maxLength: 8,
})
const text = (between: readonly string[], ...pieces: string[]) =>
  fc
    .tuple(
      fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 12 }),
      fc.constantFrom(...between),
      fc.integer({ min: 1, max: 4 }),
    )
    .map(([all, separator, times]) =>
      Buffer.from(Array.from({ length: times }, () => all.join(separator)).join(separator)),
    )

test('a text in pieces says what it says as a whole, wherever it is cut', () => {
  fc.assert(
    fc.property(text([';', '; ', ';\n\t'], ...FRAGMENTS, ...LONG_STRINGS), sizes, (bytes, cuts) => {
      const { said, most } = inPieces(bytes, cuts)
      assert.deepEqual(said, saidBy(read(bytes.toString())))
      assert.ok(most <= 4096, `${most} bytes were kept`)
    }),
    { numRuns: 400 },
  )
})

test('long comments and names and undecided quoting in a text in pieces cost a pin at most', () => {
  fc.assert(
    fc.property(text([';', ' '], ...FRAGMENTS, ...LONG_STRINGS, ...LONG_OTHERS, ...UNDECIDED), sizes, (bytes, cuts) => {
      const { said } = inPieces(bytes, cuts)
      const whole = saidBy(read(bytes.toString()))
      if ((said.pins & PIN.undecidedStatement) === 0) assert.deepEqual(said, whole)
    }),
    { numRuns: 400 },
  )
})
