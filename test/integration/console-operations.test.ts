import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { CONSOLE } from '../support/router-settings.ts'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, shapeOf } from '../support/wire-message.ts'

/** The same database under a second name, to see that an operation on one leaves the other alone. */
const bed = await Testbed.open({
  routerOnly: true,
  settings: ({ database }) => ({ pool: { size: 2 }, databases: { [database]: {}, other: { name: database } } }),
})
const OTHER = { database: 'other' }
const CONSOLE_LOGIN = { ...CONSOLE, database: 'switchyard' }
const names = { databases: { [bed.database]: {}, other: { name: bed.database } } }

async function waiting(count: number, database?: string): Promise<void> {
  await waitUntil(`${count} clients to wait`, async () => ((await bed.pool(database)).cl_waiting ?? 0) === count)
}

async function isPaused(): Promise<void> {
  await waitUntil('the router to be paused', async () => {
    return (await bed.show('STATE')).some((row) => row.key === 'paused' && row.value === 'yes')
  })
}

async function pidOf(client: WireClient): Promise<string | null> {
  return onlyValue(await client.query('SELECT pg_backend_pid()'))
}

test('PAUSE holds queries until RESUME, and nobody sees an error', async () => {
  const clients = await bed.openMany(5)
  await bed.console.query('PAUSE')
  for (const client of clients) client.send(wire.query('SELECT 1'))
  await waiting(5)
  assert.ok(await clients[0]!.staysSilent(200))
  await bed.console.query('RESUME')
  for (const client of clients) assert.equal(onlyValue(await client.until('Z')), '1')
})

test('PAUSE lets transactions finish first, and answers when they have', async () => {
  const [inside, outside, operator] = [await bed.open(), await bed.open(), await bed.open(CONSOLE_LOGIN)]
  await inside.query('BEGIN')
  operator.send(wire.query('PAUSE'))
  await isPaused()
  outside.send(wire.query('SELECT 2'))
  await waiting(1)
  assert.ok(await operator.staysSilent(100), 'PAUSE was answered in the middle of a transaction')
  assert.equal(onlyValue(await inside.query('SELECT 1')), '1')
  await inside.query('COMMIT')
  assert.equal(shapeOf(await operator.until('Z')), 'CZ')
  assert.ok(await outside.staysSilent(100))
  await bed.console.query('RESUME')
  assert.equal(onlyValue(await outside.until('Z')), '2')
})

test('PAUSE of one database leaves the others alone', async () => {
  const here = await bed.open()
  const there = await bed.open(OTHER)
  await bed.console.query('PAUSE other')
  there.send(wire.query('SELECT 1'))
  await waiting(1, 'other')
  assert.equal(onlyValue(await here.query('SELECT 1')), '1')
  await bed.console.query('RESUME other')
  assert.equal(onlyValue(await there.until('Z')), '1')
})

test('clients may log in while everything is paused', async () => {
  await bed.console.query('PAUSE')
  const client = await bed.open()
  client.send(wire.query('SELECT 1'))
  await waiting(1)
  await bed.console.query('RESUME')
  assert.equal(onlyValue(await client.until('Z')), '1')
})

test('RECONNECT replaces server connections, those in a transaction when it ends', async () => {
  const [busy, idle] = await bed.openMany(2)
  await busy!.query('BEGIN')
  const busyPid = await pidOf(busy!)
  const idlePid = await pidOf(idle!)
  await bed.console.query('RECONNECT')
  assert.equal(await pidOf(busy!), busyPid)
  assert.notEqual(await pidOf(idle!), idlePid)
  await busy!.query('COMMIT')
  const pids = [await pidOf(busy!), await pidOf(idle!)]
  assert.ok(!pids.includes(busyPid) && !pids.includes(idlePid))
})

test('KILL closes the clients and servers of a database at once; new clients wait until RESUME', async () => {
  const victim = await bed.open(OTHER)
  const bystander = await bed.open()
  victim.send(wire.query('SELECT pg_sleep(60)'))
  await waitUntil('the query to run', async () => (await bed.pool('other')).sv_active === 1)
  await bed.console.query('KILL other')
  const { messages } = await victim.untilClosed()
  assert.ok(messages.length === 0 || messages.at(-1)?.fields.S === 'FATAL', messages.join(' '))
  assert.equal(onlyValue(await bystander.query('SELECT 1')), '1')
  const late = await bed.dial()
  const login = late.login({ ...bed.login, ...OTHER }).then(() => late.query('SELECT 3'))
  await new Promise((resolve) => setTimeout(resolve, 200))
  await bed.console.query('RESUME other')
  assert.equal(onlyValue(await login), '3')
})

test('KILL_CLIENT closes one client and no other', async () => {
  const [victim, bystander] = [await bed.open({ parameters: { application_name: 'victim' } }), await bed.open()]
  const row = (await bed.show('CLIENTS')).find((shown) => shown.application_name === 'victim')
  await bed.console.query(`KILL_CLIENT ${row?.id}`)
  await victim.untilClosed()
  assert.equal(onlyValue(await bystander.query('SELECT 1')), '1')
})

test('RELOAD applies a changed pool size to the pool that is there, and keeps everybody connected', async () => {
  const clients = await bed.openMany(6)
  const most = async (): Promise<number> => {
    const answers = await Promise.all(
      clients.map((client) => client.query('SELECT pg_backend_pid() FROM pg_sleep(0.2)')),
    )
    return new Set(answers.map(onlyValue)).size
  }
  assert.ok((await most()) <= 2)
  bed.router.writeSettings(bed.settings({ pool: { size: 5 }, ...names }))
  await bed.console.query('RELOAD')
  const grown = await most()
  assert.ok(grown > 2 && grown <= 5, `${grown} server connections`)
})

test('RELOAD of a smaller pool closes what is too much as it becomes free', async () => {
  bed.router.writeSettings(bed.settings({ pool: { size: 1 }, ...names }))
  await bed.console.query('RELOAD')
  const client = await bed.open()
  await client.query('SELECT 1')
  await waitUntil('one server connection', async () => {
    const { sv_idle = 0, sv_active = 0 } = await bed.pool()
    return sv_idle + sv_active === 1
  })
})

test('RELOAD of a broken file is an error that names the mistake, and changes nothing', async () => {
  const client = await bed.open()
  for (const text of ['[pool]\nsize = "many"\n', 'this is not TOML', '[nonsense]\nx = 1\n', '']) {
    writeFileSync(bed.router.configFile, text)
    await assert.rejects(bed.console.query('RELOAD'), /switchyard\.toml|pool|nonsense|TOML/i)
  }
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
  assert.equal(onlyValue(await (await bed.open()).query('SELECT 1')), '1')
})

test('SIGHUP reads the configuration again, too: a new user gets in; removed, it does not any more', async () => {
  const role = await bed.cluster.createRole()
  await assert.rejects(bed.open(role), { sqlstate: '28P01' })
  bed.router.writeSettings(bed.settings(names, [role]))
  bed.router.signal('SIGHUP')
  await waitUntil('the new user to get in', async () => await bed.open(role))
  bed.router.writeSettings(bed.settings(names))
  await bed.console.query('RELOAD')
  await assert.rejects(bed.open(role), { sqlstate: '28P01' })
})

test('a console that leaves in the middle of PAUSE does not leave the router paused', async () => {
  const inside = await bed.open()
  await inside.query('BEGIN')
  const operator = await bed.open(CONSOLE_LOGIN)
  operator.send(wire.query('PAUSE'))
  await isPaused()
  const other = await bed.open()
  other.send(wire.query('SELECT 1'))
  await waiting(1)
  operator.reset()
  assert.equal(onlyValue(await other.until('Z')), '1')
  await inside.query('COMMIT')
})
