import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { HookDriver } from './hook-driver.ts'

function driverOf(t: TestContext, script: string) {
  const directory = mkdtempSync(join(tmpdir(), 'sy-hook-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const program = join(directory, 'hook')
  const heard = join(directory, 'heard')
  writeFileSync(program, `#!/bin/sh\ncat >> ${heard}\n${script}\n`)
  chmodSync(program, 0o755)
  const driver = new HookDriver({ program, shards: new Set(['db1']), timeoutMs: 5000 })
  return { driver, heard: () => readFileSync(heard, 'utf8') }
}

test('each step is one run with JSON on its standard input', async (t) => {
  const { driver, heard } = driverOf(t, '')
  await driver.stop('db1')
  assert.equal(driver.use('db1', '/opt/pg'), null)
  await driver.start('db1')
  assert.equal(driver.use('db1', null), '/opt/pg')
  await driver.follow('db1', 'db2')
  assert.equal(
    heard(),
    '{"verb":"stop","shard":"db1"}\n{"verb":"start","shard":"db1","binDirectory":"/opt/pg"}\n' +
      '{"verb":"follow","shard":"db1","primary":"db2","binDirectory":null}\n',
  )
  assert.deepEqual([driver.manages('db1'), driver.manages('db2')], [true, false])
})

test('what it answers is used, and may be nothing', async (t) => {
  const { driver } = driverOf(t, `echo '{"isInRecovery":true,"received":"0/20","replayed":"0/10","cleanEnd":"0/30"}'`)
  assert.deepEqual(await driver.position('db1'), { isInRecovery: true, received: 32n, replayed: 16n })
  await driver.stop('db1')
  assert.equal(await driver.cleanEnd('db1'), 48n)
  assert.equal(await driverOf(t, '').driver.position('db1'), null)
})

test('a failure tells what it wrote', async (t) => {
  await assert.rejects(
    driverOf(t, 'echo "no such host" >&2; exit 3').driver.stop('db1'),
    /status 3 at "stop" of db1: no such host/,
  )
  await assert.rejects(driverOf(t, 'echo hello').driver.stop('db1'), /no JSON object/)
  const missing = new HookDriver({ program: '/nowhere/hook', shards: new Set(), timeoutMs: 100 })
  await assert.rejects(missing.stop('db1'), /operations\.hook cannot be run/)
})
