import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createLogger, type LogOptions } from './log.ts'

function written(
  t: TestContext,
  options: Partial<LogOptions>,
  say: (log: ReturnType<typeof createLogger>) => void,
): string {
  const directory = mkdtempSync(join(tmpdir(), 'sy-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'log')
  const destination = openSync(path, 'a')
  say(createLogger({ level: 'info', format: 'auto', process: 'keeper', pid: 7, ...options, destination }))
  const text = readFileSync(path, 'utf8')
  closeSync(destination)
  return text
}

test('away from a terminal each line is JSON that says who spoke, written before the call returns', (t) => {
  const text = written(t, {}, (log) => log.warn({ shard: 'db1' }, 'db1 is down'))
  const { time, ...line } = JSON.parse(text)
  assert.deepEqual(line, { level: 'warn', process: 'keeper', pid: 7, shard: 'db1', msg: 'db1 is down' })
  assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000)
})

test('for people a line begins with time and level and names the process', (t) => {
  const text = written(t, { format: 'pretty' }, (log) => log.warn({ shard: 'db1' }, 'db1 is down'))
  assert.match(text, /^\[\d\d:\d\d:\d\d\.\d{3}\] WARN: keeper: db1 is down \{"shard":"db1"\}\n$/)
})

test('lines below the level are not written, and the level can change', (t) => {
  const text = written(t, { level: 'error' }, (log) => {
    log.warn('not this one')
    log.level = 'debug'
    log.debug('this one')
  })
  assert.match(text, /this one/)
  assert.doesNotMatch(text, /not this one/)
})

test('silent is silent', (t) => {
  assert.equal(
    written(t, { level: 'silent' }, (log) => log.fatal('help')),
    '',
  )
})
