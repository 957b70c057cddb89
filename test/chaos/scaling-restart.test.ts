import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { startTestCluster } from '../support/cluster-start.ts'
import { RouterProcess } from '../support/router-process.ts'
import { baseSettings, mergeSettings } from '../support/router-settings.ts'
import { openConsole } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'

const started = await startTestCluster({ replicas: 0 })
const data = mkdtempSync(join(tmpdir(), 'switchyard-data-'))
after(async () => {
  await started.stop()
  rmSync(data, { recursive: true, force: true })
})

const { superuser } = started.coordinates
const [primary] = started.cluster.shards
const shards = started.cluster.shards.map(({ name, host, port, dataDirectory }) => {
  return { name, host, port, data_directory: dataDirectory, max_connections: 20 }
})
const settings = mergeSettings(baseSettings(shards, superuser, [superuser]), { shards, operations: { drain: '2s' } })

/** A router whose data directory outlives it. */
async function withRouter(work: (ask: (command: string) => Promise<Record<string, unknown>[]>) => Promise<void>) {
  const router = await RouterProcess.start(settings, { env: { SWITCHYARD_DATA: data } })
  const console = await openConsole(router)
  try {
    await work(async (command) => (await console.query(command)).rows)
  } catch (error) {
    process.stderr.write(`${router.tail(60)}\n`)
    throw error
  } finally {
    await console.end()
    await router.stop()
  }
}

test('an added shard is one after a restart of the router, and runs again when its machine was down', async () => {
  const names = (rows: Record<string, unknown>[]): string => rows.map(({ name }) => name).join()
  await withRouter(async (ask) => {
    await ask('SCALE OUT main')
    const [{ detail = '' } = {}] = await ask('SHOW OPERATIONS')
    assert.match(String(detail), /routing\.reads is "primary", so everything runs on the primary/)
  })
  const pidFile = join(primary!.dataDirectory, '../../shard-2/data/postmaster.pid')
  process.kill(Number(readFileSync(pidFile, 'utf8').split('\n')[0]), 'SIGKILL')
  await withRouter(async (ask) => {
    assert.equal(names(await ask('SHOW SHARDS')), 'shard-1,shard-2')
    await waitUntil('it to be up', async () => {
      const rows = await ask('SHOW SHARDS')
      return rows.every(({ up }) => up === true || up === 't')
    })
    await ask('SCALE IN')
  })
  await withRouter(async (ask) => assert.equal(names(await ask('SHOW SHARDS')), 'shard-1'))
})
