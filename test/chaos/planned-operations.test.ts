import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { ContinuityBed } from '../support/continuity-bed.ts'
import { runProgram } from '../support/installed-program.ts'
import { MixedLoad } from '../support/mixed-load.ts'
import { openConsole } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

const bed = await ContinuityBed.open({ operations: { drain: '3s' } })
await MixedLoad.prepare(bed.on('shard-1'))

/** Runs `work` under load, and sees that no client noticed anything but a pause. */
async function unnoticed(work: () => Promise<void>): Promise<void> {
  const load = MixedLoad.start(bed.router, bed.login, { clients: 16 })
  await waitUntil('the load to run', () => load.operations > 100)
  await work()
  const before = load.operations
  await waitUntil('the load to go on', () => load.operations > before + 200)
  const { errors, dropped, wrong } = await load.stop()
  assert.deepEqual({ errors, dropped, wrong }, { errors: [], dropped: [], wrong: [] })
  const audit = await load.audit(bed.on(await bed.primary()))
  assert.deepEqual(audit, { lost: 0, doubled: 0, isBalanced: true })
}

test('RESTART of the primary: no client notices more than a pause', async () => {
  const before = await bed.pid('shard-1')
  await unnoticed(async () => {
    const [told = ''] = await bed.command('RESTART shard-1')
    assert.match(told, /^Done in [\d.]+ s; requests waited for \d+ ms\.$/)
  })
  assert.notEqual(await bed.pid('shard-1'), before)
})

test('SWITCHOVER: a replica is the primary, the old one and the other follow it, and no client notices', async () => {
  await unnoticed(async () => {
    await bed.command('SWITCHOVER main TO shard-2')
  })
  assert.equal(await bed.primary(), 'shard-2')
  await waitUntil('both to stream', async () => (await bed.streaming('shard-2')).join() === 'shard-1,shard-3')
})

test('SWITCHOVER without a name takes a replica, and RELOAD all the while changes nothing about it', async () => {
  const other = await openConsole(bed.router)
  const client = await bed.open()
  let isOver = false
  const switching = bed.command('SWITCHOVER main').finally(() => {
    isOver = true
  })
  while (!isOver) {
    await other.query('RELOAD')
    assert.equal(onlyValue(await client.query('SELECT pg_is_in_recovery()')), 'f')
  }
  await switching
  await other.end()
  client.close()
  assert.notEqual(await bed.primary(), 'shard-2')
})

test('PATCH restarts every server of the group, and no client notices', async () => {
  const before = await Promise.all(['shard-1', 'shard-2', 'shard-3'].map((name) => bed.pid(name)))
  await unnoticed(async () => {
    await bed.command('PATCH main')
  })
  const after = await Promise.all(['shard-1', 'shard-2', 'shard-3'].map((name) => bed.pid(name)))
  for (const [index, pid] of after.entries()) assert.notEqual(pid, before[index])
  const [row] = (await bed.console.query('SHOW OPERATIONS')).rows
  assert.deepEqual([row.operation, row.state, row.step], ['PATCH main', 'done', null])
})

test('DRAIN leaves a replica out until UNDRAIN, and is refused for a primary', async () => {
  const primary = await bed.primary()
  await assert.rejects(bed.command(`DRAIN ${primary}`), /is the primary of group main.*nothing can be written/)
  const replica = (await bed.shown()).find(({ role }) => role === 'replica')!.name
  await bed.command(`DRAIN ${replica}`)
  // While an answer of it is overdue, that is said first.
  await waitUntil('it to be left out', async () => {
    const { up, reason } = (await bed.shown()).find(({ name }) => name === replica)!
    assert.equal(up, false)
    return reason === 'drained by an operator (UNDRAIN ends it)'
  })
  await bed.command(`UNDRAIN ${replica}`)
  await waitUntil('it to be used', async () => (await bed.shown()).find(({ name }) => name === replica)?.up === true)
})

test('a transaction that does not end is cut off at the deadline: it goes on, or its client is told', async () => {
  const primary = await bed.primary()
  const client = await bed.open()
  await client.query('BEGIN')
  const same = await bed.open()
  await same.query('BEGIN')
  assert.equal(onlyValue(await same.query('SELECT 1')), '1')
  assert.notEqual(onlyValue(await client.query('SELECT random()')), null)
  const other = await bed.open()
  const restarting = bed.command(`RESTART ${primary}`)
  await waitUntil('the hold', async () => {
    other.send(wire.query('SELECT 1'))
    return (await other.staysSilent(100)) || (await other.until('Z')) === null
  })
  await restarting
  assert.equal(onlyValue(await other.until('Z')), '1')
  const told = await client.query('SELECT 1')
  assert.deepEqual(sqlstatesOf(told), ['40001'])
  assert.deepEqual(sqlstatesOf(await client.query('SELECT 1')), ['25P02'])
  assert.deepEqual(sqlstatesOf(await client.query('ROLLBACK')), [])
  assert.equal(onlyValue(await client.query('SELECT 2')), '2')
  assert.equal(onlyValue(await same.query('SELECT 3')), '3')
  const commit = await same.query('COMMIT')
  assert.deepEqual([commit[0]?.strings[0], commit.at(-1)?.body.toString()], ['COMMIT', 'I'])
  same.close()
  client.close()
  other.close()
})

test('what cannot be done is refused before anything is done', async () => {
  const primary = await bed.primary()
  await assert.rejects(bed.command('RESTART nothing'), { code: '42704' })
  await assert.rejects(bed.command('SWITCHOVER other'), { code: '42704' })
  await assert.rejects(bed.command(`SWITCHOVER main TO ${primary}`), { code: '55000' })
  const steps = await bed.command('SWITCHOVER main DRY RUN')
  assert.match(steps.join('\n'), /would\n1\. check .*\n2\. write a checkpoint .*\n3\. hold requests/)
  assert.equal(await bed.primary(), primary)
})

test('the same by the command line, which tells each step', async () => {
  const primary = await bed.primary()
  const main = join(import.meta.dirname, '../../src/main.ts')
  const run = async (...parameters: string[]) =>
    await runProgram(process.execPath, [main, ...parameters, '--config', bed.router.configFile], {
      env: { ...process.env, SWITCHYARD_DATA: join(bed.router.directory, 'data') },
    })
  const dry = await run('restart', primary, '--dry-run')
  assert.match(dry.stdout, new RegExp(`^RESTART ${primary} would\\n1\\. .*\\n2\\. hold requests`))
  const done = await run('restart', primary)
  assert.equal(done.status, 0, done.stderr)
  assert.match(done.stdout, /Done in [\d.]+ s; requests waited for \d+ ms\.\n$/)
  const refused = await run('drain', primary)
  assert.deepEqual([refused.status, /without it nothing can be written/.test(refused.stdout)], [1, true])
})

test('SHOW PRESERVATION tells who was kept and who could not be, and why', async () => {
  const [plain, pinned] = [await bed.open(), await bed.open()]
  await plain.query('SELECT 1')
  await pinned.query('CREATE TEMP TABLE mine (x int)')
  await bed.command(`RESTART ${await bed.primary()}`)
  const { messages } = await pinned.untilClosed()
  assert.match(String(messages.at(-1)?.fields.M), /session state \(temporaryObject\)/)
  assert.equal(onlyValue(await plain.query('SELECT 1')), '1')
  plain.close()
  const [row] = (await bed.console.query('SHOW PRESERVATION')).rows
  assert.deepEqual([row.event, Number(row.dropped), Number(row.told)], ['restart', 1, 1])
  assert.ok(Number(row.kept) >= 1)
  assert.equal(row.reasons, 'its server connection had state of its own (temporaryObject): 1')
})
