import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Lexer, TOKEN } from './lexer.ts'
import { flagsOf, pinsOf, read } from './statement-facts.fixture.ts'
import { StatementFacts } from './statement-facts.ts'

const STATEMENTS = [
  'select 1',
  'select lower(a), b from s.t as x (c, d) where (e) in (f, 2)',
  "select f(1), s.g(2), a[1:h(3)], x::numeric(10, 2), pg_catalog.lower('x')",
  "select set_config('a.b', coalesce(x, 'c'), true), a operator(s.+) b",
  "select set_config('a.b', 'c', false)",
  'with x (a) as not materialized (select pg_advisory_lock(1)) insert into t (a) select * from x',
  'update t set (a, b) = (1, 2)',
  'create temp table t (a int)',
  'create table if not exists "pg_temp".t (a int)',
  "create table s.t as select a from b join c on nextval('s') = 1",
  'create index i on s.t using gin (a)',
  'create function f() returns int language sql begin atomic select 1; select 2; end',
  'declare c cursor without hold for select 1',
  'declare c cursor with hold for select 1',
  'set local work_mem to 1',
  'set session time zone utc',
  'set app.tenant to 7',
  'reset all',
  'rollback to savepoint a',
  'rollback and chain',
  'listen x',
  "prepare transaction 'x'",
  'prepare p as select 1',
  'deallocate prepare all',
  "copy t (a) from '/x' with (format csv)",
]

function tokensOf(sql: string): string[] {
  const bytes = Buffer.from(sql)
  const lexer = new Lexer()
  lexer.open(bytes, 0, bytes.length)
  const found: string[] = []
  while (lexer.next() !== TOKEN.end) found.push(bytes.toString('utf8', lexer.start, lexer.stop))
  return found
}

const statement = fc.constantFrom(...STATEMENTS)
const separators = fc.array(fc.constantFrom(' ', '\n\t', '/* f( */', ' -- ; set x to 1\n', '/*/**/*/'), {
  minLength: 1,
  maxLength: 5,
})

/** The same statement in another spelling. */
function respell(sql: string, between: readonly string[], capitals: readonly boolean[]): string {
  return tokensOf(sql)
    .map((token, at, all) => {
      const word = /^\w/.test(token) && capitals[at % capitals.length] ? token.toUpperCase() : token
      // A cast is two colons with nothing between them.
      return token === ':' && all[at + 1] === ':' ? word : word + between[at % between.length]
    })
    .join('')
}

test('neither spaces nor comments nor the case of words change what a statement says', () => {
  fc.assert(
    fc.property(statement, separators, fc.array(fc.boolean(), { minLength: 1 }), (sql, between, capitals) => {
      const other = respell(sql, between, capitals)
      assert.equal(pinsOf(other), pinsOf(sql), other)
      assert.equal(flagsOf(other), flagsOf(sql), other)
      assert.deepEqual([...read(other).settings], [...read(sql).settings], other)
    }),
    { numRuns: 500 },
  )
})

test('a text of several statements says what each of them says', () => {
  const bits = (sql: string): [number, number] => [read(sql).pins, read(sql).flags]
  const several = bits('select 1; select 1')[1]
  fc.assert(
    fc.property(fc.array(statement, { minLength: 2, maxLength: 5 }), (all) => {
      const [pins, flags] = bits(all.join(';'))
      const each = all.map(bits)
      assert.equal(
        pins,
        each.reduce((sum, [one]) => sum | one, 0),
      )
      assert.equal(
        flags,
        each.reduce((sum, [, one]) => sum | one, several),
      )
      assert.deepEqual(
        [...read(all.join(';')).settings],
        all.flatMap((one) => [...read(one).settings]),
      )
    }),
    { numRuns: 300 },
  )
})

test('any text is read to its end in one pass', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...STATEMENTS.flatMap(tokensOf), "'", '"', '$$', '/*'), { maxLength: 60 }),
      (pieces) => {
        read(pieces.join(' '))
      },
    ),
    { numRuns: 300 },
  )
})

/** What `facts` says of a text. */
function factsOf(facts: StatementFacts, sql: string): unknown {
  const bytes = Buffer.from(sql)
  facts.read(bytes, 0, bytes.length)
  const { pins, flags, intent, settings, channels, calls, isDoubtful } = facts
  return { pins, flags, intent, settings: [...settings], channels: [...channels], calls, isDoubtful }
}

test('what is remembered of a text holds for every text that differs from it in digits', () => {
  const piece = fc.constantFrom(
    ...STATEMENTS,
    ...['1', '23', ' ', '.', ',', '(', ')', "'", '"', '$', '$1$', 'e', '\\', "E'", "U&'", '--', '/*', '*/', '\n', ';'],
    ...['a1', 'f2(', 'set_config(', '0x1f', '1e3', ':', 'limit 5', 'in (1, 2)', 'select ', 'begin;', 'commit'],
  )
  const digits = fc.array(fc.stringMatching(/^[0-9]{1,4}$/), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 12 }), digits, (pieces, numbers) => {
      const text = pieces.join('')
      let at = 0
      const other = text.replaceAll(/[0-9]+/g, () => numbers[at++ % numbers.length] as string)
      const warm = new StatementFacts(null)
      for (const one of [text, text, text]) factsOf(warm, one)
      assert.deepEqual(factsOf(warm, other), factsOf(new StatementFacts(null), other), other)
    }),
    { numRuns: 3000 },
  )
})
