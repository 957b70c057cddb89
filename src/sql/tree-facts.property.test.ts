import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { PIN, pinReasons } from '../memory/client-slots.ts'
import { Lexer, TOKEN } from './lexer.ts'
import { PostgresParser } from './postgres-parser.ts'
import { FACT } from './statement-effects.ts'
import { read } from './statement-facts.fixture.ts'
import { INTENT } from './statement-intent.ts'
import { treeFacts } from './tree-facts.ts'

const parser = await PostgresParser.load()
const STATEMENTS = readFileSync(new URL('./fixtures/statements.sql', import.meta.url), 'utf8')
  .trim()
  .split('\n')

/** Keywords of PostgreSQL 18 that may be a function's name, and other names that mean something to somebody. */
const NAMES = (
  'abort absolute access action add after aggregate all analyze any array as at atomic attribute authorization before ' +
  'begin between binary by call cascade cast chain check class close cluster coalesce collate comment commit concurrently ' +
  'conflict constraint constraints copy create cross csv cube current current_schema cursor cycle data database day ' +
  'deallocate declare default deferred delete depth discard distinct do document domain double drop each end enum escape ' +
  'except exclude execute exists explain extension fetch filter first following for freeze full function generated global ' +
  'grant group grouping groups hash hold hour identity if ilike in include index inherits inner input insert instead ' +
  'interval into is isnull join json key language last lateral leading left level like list listen load local location ' +
  'lock match matched materialized merge mode month move name names natural new next no not nothing notify notnull nulls ' +
  'of off offset old on only operator option options or order ordinality others outer over overlaps overlay owned parser ' +
  'partial partition passing path period plans policy position preceding prepare prepared primary prior procedure program ' +
  'range read recursive ref references refresh release rename repeatable replace reset restart return returning returns ' +
  'revoke right role rollback rollup routine row rows rule savepoint schema scroll search second select sequence ' +
  'sequences session set setof sets share show similar skip snapshot some source sql start statement statistics stdin ' +
  'storage stored string substring symmetric system table tables tablesample temp template temporary text then ties time ' +
  'timestamp to trailing transaction treat trigger trim truncate type types union unique unlisten until update user using ' +
  'vacuum valid value values varchar varying verbose version view when where window with within without work xml ' +
  'xmlelement year zone f nextval set_config lower timetz btree gin float4 "by" "set_config" "lastval"'
).split(' ')

interface Told {
  readonly pins: string
  /** It writes, or calls what may, and the lexer has said that it does not. */
  readonly writes: boolean
  readonly flags: number
}

const none: Told = { pins: '', writes: false, flags: 0 }

/** A call of a function that nobody knows may turn out to be one by a quoted name, or in a schema, when the text is parsed. */
const MAY_TURN_OUT =
  PIN.setting | PIN.sequence | PIN.advisoryLock | PIN.randomSeed | PIN.temporaryObject | PIN.unknownFunction

/** What the parser finds and the lexer has neither found nor doubted; null when there is nothing to compare. */
function missed(sql: string): Told | null {
  const parsed = parser.parse(sql)
  if (parsed.kind !== 'parsed') return null
  const tree = treeFacts(parsed.tree)
  const facts = read(sql)
  if ((facts.pins & PIN.undecidedStatement) !== 0) return none
  const isOpen = facts.isDoubtful || (facts.pins & PIN.unknownFunction) !== 0
  // Which settings set_config touches, and for how long, the words say where it is called by its plain name.
  const said = facts.pins | PIN.setting | (isOpen ? MAY_TURN_OUT : 0)
  const found = tree.pins | (tree.calls.length > 0 ? PIN.unknownFunction : 0)
  const writes = facts.intent < (tree.calls.length > 0 ? INTENT.write : tree.intent)
  return { pins: pinReasons(found & ~said).join(' '), writes, flags: isOpen ? 0 : tree.flags & ~facts.flags }
}

const tokensOf = (sql: string): string[] => {
  const bytes = Buffer.from(sql)
  const lexer = new Lexer()
  lexer.open(bytes, 0, bytes.length)
  const found: string[] = []
  while (lexer.next() !== TOKEN.end) found.push(bytes.toString('utf8', lexer.start, lexer.stop))
  return found
}

test('of ordinary statements of every kind, the parser finds nothing that the lexer has missed', () => {
  for (const sql of STATEMENTS) {
    const told = missed(sql)
    assert.notEqual(told, null, `refused: ${sql}`)
    assert.deepEqual(told, none, sql)
  }
})

test('whatever name a call has and wherever it stands, the lexer sees it or doubts', () => {
  let compared = 0
  for (const sql of STATEMENTS) {
    for (const name of NAMES) {
      if (!sql.includes('f(')) continue
      const other = sql.replace(/\bf\(/, `${name} (`)
      const told = missed(other)
      if (told === null) continue
      compared++
      assert.deepEqual(told, none, other)
    }
  }
  assert.ok(compared > 10_000, `${compared} were compared`)
})

test('a statement with any of its words exchanged says no more to the parser than to the lexer', () => {
  const pieces = STATEMENTS.map(tokensOf)
  const pool = [...NAMES, ...NAMES.map((name) => `${name}(1)`), '(', ')', ',', 'f(1)', '.', "'x'", '1', ';', '*']
  let compared = 0
  fc.assert(
    fc.property(
      fc.constantFrom(...pieces),
      fc.array(fc.tuple(fc.nat(), fc.constantFrom(...pool), fc.integer({ max: 3, min: 0 })), {
        minLength: 1,
        maxLength: 3,
      }),
      (tokens, changes) => {
        const changed = [...tokens]
        for (const [at, text, inserts] of changes) changed.splice(at % changed.length, inserts === 0 ? 0 : 1, text)
        const sql = changed.join(' ').replaceAll(': :', '::').replaceAll(': =', ':=')
        const told = missed(sql)
        if (told === null) return
        compared++
        assert.deepEqual(told, none, sql)
      },
    ),
    { numRuns: 20_000 },
  )
  assert.ok(compared > 1000, `${compared} were compared`)
})

test('transactions, settings and what is given up are the same to both', () => {
  const kinds: Readonly<Record<string, number>> = {
    TRANS_STMT_BEGIN: FACT.begins,
    TRANS_STMT_START: FACT.begins,
    TRANS_STMT_COMMIT: FACT.commits,
    TRANS_STMT_ROLLBACK: FACT.rollsBack | FACT.undoes,
    TRANS_STMT_ROLLBACK_TO: FACT.undoes,
    TRANS_STMT_PREPARE: FACT.preparesTransaction,
  }
  const told = FACT.begins | FACT.commits | FACT.rollsBack | FACT.undoes | FACT.preparesTransaction
  for (const sql of STATEMENTS) {
    const parsed = parser.parse(sql)
    assert.equal(parsed.kind, 'parsed')
    if (parsed.kind !== 'parsed') continue
    const said = JSON.stringify(parsed.tree)
    const flags = [...said.matchAll(/"TransactionStmt":\{"kind":"(\w+)"/g)].map(([, kind]) => kinds[kind!] ?? 0)
    const expected = flags.reduce((all, one) => all | one, 0)
    assert.equal(read(sql).flags & told, expected, sql)
  }
})
