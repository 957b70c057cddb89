import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommandScan, NO_EXPRESSIONS } from './command-scan.ts'
import { Lexer } from './lexer.ts'
import { SettingScan } from './setting-scan.ts'
import { meaningOf, W } from './statement-words.ts'

const lexer = new Lexer()
const settings = new SettingScan(lexer)
const scan = new CommandScan(lexer, settings)

/** Reads one statement; returns how the rest of it is to be scanned. */
function read(sql: string): number {
  const bytes = Buffer.from(sql)
  scan.begin()
  settings.begin()
  scan.use(bytes)
  settings.use(bytes)
  lexer.begin()
  lexer.goOn(bytes, 0, bytes.length, bytes.length)
  lexer.next()
  return scan.read(meaningOf(lexer, bytes))
}

test('behind a command that says all in its first words, nothing is to be scanned', () => {
  const said = [
    'begin',
    'commit and chain',
    'rollback to x',
    'set a = 1',
    'reset all',
    'listen a',
    'load x',
    'do $$a()$$',
  ]
  for (const sql of said) assert.equal(read(sql), NO_EXPRESSIONS, sql)
})

test('what is behind other words is scanned for expressions, as that of the statement that it is', () => {
  assert.equal(read('select f(1)'), W.select)
  assert.equal(read('create table a (b int)'), W.ddl)
  assert.equal(read('drop table a'), W.ddl)
  assert.equal(read('execute a (f(1))'), W.execute)
})

test('names of a PREPARE come first, as in COPY; PREPARE TRANSACTION has none', () => {
  assert.equal(read('prepare a (int) as select $1'), W.copy)
  assert.equal(read("prepare transaction 'a'"), NO_EXPRESSIONS)
})

test('the end of a prepared transaction writes, that of an ordinary one does not', () => {
  read("commit prepared 'a'")
  assert.equal(scan.writes, true)
  read('commit')
  assert.equal(scan.writes, false)
})

test('the name in EXECUTE and DEALLOCATE is found where it is', () => {
  const sql = 'deallocate prepare "a b"'
  read(sql)
  assert.equal(sql.slice(scan.nameStart, scan.nameStop), '"a b"')
})

test('the next text has nothing of the one before', () => {
  read('listen a')
  assert.deepEqual(scan.channels, ['a'])
  read('begin')
  assert.deepEqual([scan.channels, scan.pins], [[], 0])
})
