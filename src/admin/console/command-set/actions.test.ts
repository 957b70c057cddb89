import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, RouterError } from '../../../errors.ts'
import { TestRouter, testDatabase } from '../../router-control.fixture.ts'
import { writeClient } from '../../router-memory.fixture.ts'
import { clientId } from '../../slot-id.ts'
import type { ActionCommand, Notices } from '../command.ts'
import { splitStatements } from '../tokens.ts'
import { kill } from './kill.ts'
import { killClient } from './kill-client.ts'
import { pause } from './pause.ts'
import { reconnect } from './reconnect.ts'
import { reload } from './reload.ts'
import { resume } from './resume.ts'
import { shutdown } from './shutdown.ts'
import { upgrade } from './upgrade.ts'

async function give(
  command: ActionCommand,
  argument: string,
  router: TestRouter,
  signal: AbortSignal = new AbortController().signal,
): Promise<Notices> {
  return command.prepare(splitStatements(argument)[0] ?? [])({ control: router, signal })
}

const sqlstate = (expected: string) => (error: unknown) => error instanceof RouterError && error.sqlstate === expected

for (const command of [pause, resume, reconnect, kill]) {
  const name = command.name.toLowerCase()

  test(`${command.name} goes to one database or to all`, async () => {
    const router = new TestRouter()
    router.databases = [testDatabase('app'), testDatabase('My App')]
    await give(command, '', router)
    await give(command, 'APP', router)
    await give(command, '"My App"', router)
    await give(command, "'app'", router)
    assert.deepEqual(router.calls, [`${name} null`, `${name} app`, `${name} My App`, `${name} app`])
  })

  test(`${command.name} of a database that is not configured is refused and names those that are`, async () => {
    const router = new TestRouter()
    await assert.rejects(give(command, 'nope', router), (error: unknown) => {
      assert.ok(error instanceof RouterError)
      assert.equal(error.sqlstate, '3D000')
      assert.match(error.hint ?? '', /"app"/)
      return true
    })
    assert.deepEqual(router.calls, [])
  })

  test(`${command.name} with more than a name is a syntax error`, () => {
    for (const argument of ['app shop', '7', '$app']) {
      assert.throws(() => command.prepare(splitStatements(argument)[0] ?? []), sqlstate('42601'))
    }
  })
}

test('any database is known where the star is configured', async () => {
  const router = new TestRouter()
  router.databases = [testDatabase('*')]
  await give(pause, 'whatever', router)
  assert.deepEqual(router.calls, ['pause whatever'])
})

test('a cancelled PAUSE resumes what it held and fails with 57014', async () => {
  const router = new TestRouter()
  router.outcome = () => new Promise(() => undefined)
  const cancel = new AbortController()
  const paused = give(pause, 'app', router, cancel.signal)
  await new Promise((resolve) => setImmediate(resolve))
  cancel.abort()
  await assert.rejects(paused, sqlstate('57014'))
  assert.deepEqual(router.calls, ['pause app', 'resume app'])
})

test('a pause that fails after it was cancelled disturbs nobody', async () => {
  const router = new TestRouter()
  let fail: (error: Error) => void = () => undefined
  router.outcome = () => new Promise((_, reject) => (fail = reject))
  await assert.rejects(give(pause, 'app', router, AbortSignal.abort()), sqlstate('57014'))
  fail(new Error('plane 0 went away'))
  await new Promise((resolve) => setImmediate(resolve))
})

test('what control refuses reaches the caller', async () => {
  const router = new TestRouter()
  router.outcome = async () => {
    throw new RouterError('57P03', 'No plane is connected.', { origin: 'router' })
  }
  await assert.rejects(give(pause, '', router), sqlstate('57P03'))
})

test('RESUME of what is not paused succeeds and says so', async () => {
  const router = new TestRouter()
  router.databases = [testDatabase('app')]
  assert.deepEqual(await give(resume, '', router), ['Nothing was paused.'])
  assert.match((await give(resume, 'app', router))[0] ?? '', /"app" was not paused/)
  router.paused = { all: true, databases: [] }
  assert.deepEqual(await give(resume, '', router), [])
  assert.match((await give(resume, 'app', router))[0] ?? '', /Everything is paused/)
  router.paused = { all: false, databases: ['app'] }
  assert.deepEqual(await give(resume, 'app', router), [])
})

test('KILL_CLIENT closes the client that has the id', async () => {
  const router = new TestRouter()
  writeClient(router, 5, 'idle', { generation: 9 })
  await give(killClient, String(clientId(router.memory.clients, 5)), router)
  writeClient(router, 5, 'idle', { generation: -3 })
  await give(killClient, String(clientId(router.memory.clients, 5)), router)
  assert.deepEqual(router.calls, ['kill client 5/9', `kill client 5/${2 ** 32 - 3}`])
})

test('KILL_CLIENT does not hit the next client in the slot, nor an empty slot, nor one outside', async () => {
  const router = new TestRouter()
  writeClient(router, 5, 'idle', { generation: 9 })
  const id = clientId(router.memory.clients, 5)
  writeClient(router, 5, 'idle', { generation: 10 })
  for (const wanted of [id, id + 1, 2 ** 22 - 1, '99999999999999999999999']) {
    await assert.rejects(give(killClient, String(wanted), router), sqlstate('22023'))
  }
  assert.deepEqual(router.calls, [])
})

test('KILL_CLIENT takes one number', () => {
  for (const argument of ['', 'app', '1 2', "'1'"]) {
    assert.throws(() => killClient.prepare(splitStatements(argument)[0] ?? []), sqlstate('42601'))
  }
})

test('RELOAD tells what was applied and what needs a restart', async () => {
  const router = new TestRouter()
  assert.deepEqual(await give(reload, '', router), ['The configuration is unchanged.'])
  router.reloadOutcome = async () => ({ applied: ['pool.size', 'users'], needsRestart: ['listen.port'] })
  assert.deepEqual(await give(reload, '', router), [
    'Applied: pool.size, users.',
    'Changed, but needs a restart: listen.port.',
  ])
})

test('RELOAD of a wrong configuration fails with the sentence of the mistake', async () => {
  const router = new TestRouter()
  router.reloadOutcome = async () => {
    throw new ConfigError('switchyard.toml: pool.size must be a number.')
  }
  await assert.rejects(give(reload, '', router), (error: unknown) => {
    assert.ok(error instanceof RouterError)
    assert.equal(error.sqlstate, 'F0000')
    assert.equal(error.message, 'switchyard.toml: pool.size must be a number.')
    return true
  })
  await assert.rejects(async () => give(reload, 'now', router), sqlstate('42601'))
})

test('SHUTDOWN has four modes', async () => {
  const router = new TestRouter()
  for (const argument of ['', 'WAIT_FOR_SERVERS', 'wait_for_clients', 'Immediate'])
    await give(shutdown, argument, router)
  assert.deepEqual(router.calls, [
    'shutdown drain',
    'shutdown wait-for-servers',
    'shutdown wait-for-clients',
    'shutdown immediate',
  ])
  for (const argument of ['now', 'immediate please', '"immediate"', 'constructor']) {
    assert.throws(() => shutdown.prepare(splitStatements(argument)[0] ?? []), sqlstate('42601'))
  }
})

test('UPGRADE takes a path in quotes, or nothing', async () => {
  const router = new TestRouter()
  assert.deepEqual(await give(upgrade, '', router), ['It has begun.'])
  await give(upgrade, "'/opt/New/bin/switchyard.js'", router)
  assert.deepEqual(router.calls, ['upgrade null', 'upgrade /opt/New/bin/switchyard.js'])
  for (const argument of ['now', "'/a' '/b'", '7']) {
    assert.throws(() => upgrade.prepare(splitStatements(argument)[0] ?? []), sqlstate('42601'))
  }
})
