import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/util/seeded-random.ts'
import { openDescriptors, residentBytes } from '../support/process-usage.ts'
import { openConsole, Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import { onlyValue } from '../support/wire-message.ts'
import { mayhem, pickEvent } from './mayhem.ts'

const bed = await Testbed.open({ routerOnly: true, start: false })

/** What a keeper may grow by over a few upgrades. */
const KEEPER_ALLOWANCE_BYTES = 32 << 20

test('everything happens, the same for the same seed', () => {
  const events = (seed: number) => {
    const random = seededRandom(seed)
    return Array.from({ length: 200 }, () => pickEvent(random))
  }
  assert.deepEqual(events(7), events(7))
  assert.notDeepEqual(events(7), events(8))
  assert.deepEqual([...new Set(events(7))].sort(), ['control', 'keeper', 'plane', 'upgrade'])
})

test('clients at rest stay through kills of every process and upgrades, whatever the order', async () => {
  const router = await bed.startRouter()
  const clients = await Promise.all(Array.from({ length: 20 }, () => WireClient.open(router, bed.login)))
  for (const client of clients) bed.onClose(client, (one) => one.close())
  for (const [at, client] of clients.entries()) await client.query(`SET app.number = '${at}'`)
  const until = performance.now() + 8_000
  await mayhem(router, seededRandom(4), () => performance.now() > until)
  for (const [at, client] of clients.entries()) {
    assert.equal(onlyValue(await client.query(`SELECT current_setting('app.number')`)), String(at))
  }
})

test('upgrade after upgrade with clients that work in between: no descriptor and no memory is left behind', async () => {
  const router = await bed.startRouter()
  const client = bed.onClose(await WireClient.open(router, bed.login), (one) => one.close())
  await client.query(`SET app.number = '7'`)
  const { keeper } = router.pids
  const upgrade = async (): Promise<void> => {
    const ends = () => router.log.filter((line) => /upgrade (done|failed|refused)/.test(line)).length
    const before = ends()
    router.signal('SIGUSR2')
    await waitUntil('the upgrade', () => ends() > before, { timeoutMs: 60_000 })
    await waitUntil('the standby', () => router.pids.standbys.length === 1, { timeoutMs: 60_000 })
    assert.equal(onlyValue(await client.query(`SELECT current_setting('app.number')`)), '7')
  }
  await upgrade()
  const before = { descriptors: openDescriptors(keeper), bytes: residentBytes(keeper) }
  const upgrades = Number(process.env.SWITCHYARD_CHAINED_UPGRADES ?? 3)
  for (let round = 0; round < upgrades; round += 1) await upgrade()
  // Server connections come and go.
  await waitUntil('as many descriptors as before', () => openDescriptors(keeper) <= before.descriptors + 1)
  assert.ok(residentBytes(keeper) - before.bytes < KEEPER_ALLOWANCE_BYTES)
  const console = await waitUntil('the console', () => openConsole(router))
  const { rows } = await console.query('SHOW PLANES')
  assert.equal(Number(rows[0]?.takeovers), upgrades + 1)
  await console.end()
})
