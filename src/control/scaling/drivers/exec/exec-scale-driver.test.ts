import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { waitUntil } from '../../../../../test/support/wait-until.ts'
import type { ScaleOrder } from '../scale-driver.ts'
import { ExecScaleDriver } from './exec-scale-driver.ts'

const ORDER: ScaleOrder = {
  ...{ name: 'db3', group: 'main', pool: null, operation: 'db3-1', place: null },
  primary: { name: 'db1', host: '10.0.0.1', port: 5432 },
  members: ['db1'],
}
const NEVER = new AbortController().signal

function driverOf(t: TestContext, script: string, timeoutMs = 5000, patienceMs = 5000) {
  const directory = mkdtempSync(join(tmpdir(), 'sy-scale-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const program = join(directory, 'scale')
  writeFileSync(program, `#!/bin/sh\ncd ${directory}\ncat >> heard\n${script}\n`)
  chmodSync(program, 0o755)
  const heard = () =>
    readFileSync(join(directory, 'heard'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  return { driver: new ExecScaleDriver({ program, timeoutMs, patienceMs }), heard, directory }
}

test('it is asked to create, then for the status until it is ready', async (t) => {
  const ready = '{"state":"ready","host":"10.0.0.3","port":5433}'
  const { driver, heard } = driverOf(t, `[ $(wc -l < heard) -lt 3 ] && echo '{"state":"creating"}' || echo '${ready}'`)
  assert.deepEqual(await driver.create(ORDER, NEVER), { host: '10.0.0.3', port: 5433, dataDirectory: null })
  assert.deepEqual(
    heard().map(({ verb, operation }) => [verb, operation]),
    [
      ['create', 'db3-1'],
      ['status', 'db3-1'],
      ['status', 'db3-1'],
    ],
  )
  const { members: _, name, ...rest } = ORDER
  assert.deepEqual(heard()[0], { version: 1, verb: 'create', shard: name, ...rest })
})

test('it is asked to destroy until it says that it is gone', async (t) => {
  const { driver, heard } = driverOf(
    t,
    `[ $(wc -l < heard) -lt 2 ] && echo '{"state":"destroying"}' || echo '{"state":"gone"}'`,
  )
  await driver.destroy(ORDER)
  assert.deepEqual(
    heard().map(({ verb }) => verb),
    ['destroy', 'status'],
  )
})

test('what goes wrong is said in its own words', async (t) => {
  const cases: readonly [script: string, message: RegExp][] = [
    ['echo "no quota" >&2; exit 3', /ended with status 3 at "create" of db3: no quota/],
    ['echo ready', /no JSON object with a known "state": ready/],
    [`echo '{"state":"fine"}'`, /known "state"/],
    [`echo '{"state":"ready"}'`, /ready, and not where/],
    [`echo '{"state":"gone"}'`, /was to be created, is gone/],
  ]
  for (const [script, message] of cases) {
    await assert.rejects(driverOf(t, script).driver.create(ORDER, NEVER), { sqlstate: '58000', message })
  }
  const missing = new ExecScaleDriver({ program: '/nowhere/scale', timeoutMs: 1000, patienceMs: 1000 })
  await assert.rejects(missing.create(ORDER, NEVER), /cannot be run/)
})

test('one that hangs is killed with all that it has started; one that never gets ready is given up', async (t) => {
  const { driver, directory } = driverOf(t, 'sleep 600 & echo $! > child; wait', 300)
  await assert.rejects(driver.create(ORDER, NEVER), /took too long/)
  const child = Number(readFileSync(join(directory, 'child'), 'utf8'))
  await waitUntil('its child to end', () => isGone(child))
  const slow = driverOf(t, `echo '{"state":"creating"}'`, 5000, 100).driver
  await assert.rejects(slow.create(ORDER, NEVER), /still creating after 0 s/)
})

test('it is ended when the operation has to make way', async (t) => {
  const { driver } = driverOf(t, 'sleep 600')
  const abort = new AbortController()
  const creating = driver.create(ORDER, abort.signal)
  abort.abort(new Error('make way'))
  await assert.rejects(creating, /make way/)
})

function isGone(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return true
  }
}
