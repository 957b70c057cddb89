import assert from 'node:assert/strict'
import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ContinuityBed } from '../support/continuity-bed.ts'
import { ReadLoad } from '../support/read-load.ts'
import { ScalingBed } from '../support/scaling-bed.ts'
import { waitUntil } from '../support/wait-until.ts'

const bed = await ContinuityBed.open(
  {
    operations: { drain: '3s' },
    routing: { reads: 'replicas', slow_start: '500ms' },
    failover: { mode: 'local' },
  },
  1,
)
const scaling = new ScalingBed(bed)
const newRoot = join(scaling.shardsDirectory, 'shard-3')
const READ = 'SELECT count(*) FROM generate_series(1, 100) AS number'

/** Gives a command whose answer never comes when control dies. */
function give(command: string): void {
  scaling.ask(command).catch(() => undefined)
}

async function killControlAt(step: string): Promise<void> {
  const from = bed.router.log.length
  await waitUntil(step, () => bed.router.log.slice(from).some((line) => line.includes(step)), { everyMs: 1 })
  process.kill(bed.router.pids.control, 'SIGKILL')
}

test('control may die at any step of SCALE OUT and SCALE IN: its successor goes on, and clients notice nothing', async () => {
  const load = await ReadLoad.start(bed.router, bed.login, { clients: 2, sql: READ })
  for (const step of [
    'SCALE OUT main: make shard-3, a copy',
    'SCALE OUT main: wait until',
    'SCALE OUT main: make shard-3 a shard',
  ]) {
    give('SCALE OUT main')
    await killControlAt(step)
    assert.equal((await scaling.ended('SCALE OUT main')).state, 'done')
    await waitUntil('it to be known', async () => (await scaling.names()) === 'shard-1,shard-2,shard-3')
    assert.equal(await scaling.slots(bed.shards[0]!.port), 'shard_2,shard_3')
    assert.equal(scaling.servers(scaling.shardsDirectory), 3)
    const before = await scaling.reads('shard-3')
    await waitUntil('reads to go there', async () => (await scaling.reads('shard-3')) > before + 20)
    const last = step.includes('copy') ? 'send nothing new' : step.includes('wait') ? 'take shard-3' : 'stop shard-3'
    give('SCALE IN shard-3')
    await killControlAt(`SCALE IN shard-3: ${last}`)
    assert.equal((await scaling.ended('SCALE IN shard-3')).state, 'done')
    assert.equal(await scaling.names(), 'shard-1,shard-2')
    assert.equal(await scaling.slots(bed.shards[0]!.port), 'shard_2')
    assert.equal(scaling.servers(scaling.shardsDirectory), 2)
    assert.ok(!existsSync(newRoot))
  }
  assert.deepEqual((await load.stop()).errors, [])
})

test('what cannot be made, nor cleared away, is cleared away when that is possible', async () => {
  writeFileSync(newRoot, 'in the way')
  await assert.rejects(scaling.ask('SCALE OUT main'), { code: '58000' })
  const { state, detail = '' } = await scaling.operation()
  assert.equal(state, 'failed')
  assert.match(detail, /EEXIST|ENOTDIR/)
  const left = async () => (await scaling.ask('SHOW SCALING'))[0]?.reason
  await waitUntil('the remains to be seen', async () => (await left()) === 'shard-3 is draining')
  rmSync(newRoot)
  await waitUntil('them to be cleared away', async () => (await left()) !== 'shard-3 is draining', {
    timeoutMs: 30_000,
  })
  assert.equal(await scaling.slots(bed.shards[0]!.port), 'shard_2')
  assert.equal((await scaling.ended('SCALE IN shard-3')).state, 'done')
})

test('a shard is one after RELOAD too, and RESTART knows it; limits hold for SCALE OUT', async () => {
  await scaling.reload({ scaling: { max_shards: 3 } })
  await scaling.ask('SCALE OUT main')
  await scaling.reload({ tiers: { age: '4s' } })
  assert.equal(await scaling.names(), 'shard-1,shard-2,shard-3')
  await scaling.ask('RESTART shard-3')
  await waitUntil('it to be up', () => scaling.isWhole())
  await assert.rejects(scaling.ask('SCALE OUT main'), { code: '55000', message: /has 3 shards, and may have 3/ })
  await assert.rejects(scaling.ask('SCALE IN shard-2'), { code: '55000', message: /was not added/ })
  await scaling.ask('SCALE IN')
})

test('a shard that is being made makes way for a failover, and is cleared away afterwards', async () => {
  const program = join(bed.router.directory, 'hangs')
  writeFileSync(program, `#!/bin/sh\ngrep -q destroy && echo '{"state":"gone"}' || sleep 600\n`)
  chmodSync(program, 0o755)
  await scaling.reload({ scaling: { driver: 'exec', program, max_shards: 6 } })
  give('SCALE OUT main')
  await waitUntil('it to begin', async () => (await scaling.operation()).operation === 'SCALE OUT main')
  process.kill(await bed.pid('shard-1'), 'SIGKILL')
  await waitUntil('another primary', async () => (await scaling.primary()) === 'shard-2', { timeoutMs: 20_000 })
  const operations = await scaling.ask('SHOW OPERATIONS')
  const made = operations.find(({ operation }) => operation === 'SCALE OUT main')
  assert.deepEqual([made?.state, made?.detail], ['failed', 'It made way for a failover.'])
  assert.equal((await scaling.ended('SCALE IN shard-3')).state, 'done')
})
