import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { oneQuestionModel } from '../../src/analyzer/model.fixture.ts'
import { makeVocabulary } from '../../src/analyzer/vocabulary.ts'
import { historyFiles, readHistory } from '../../src/control/learning/history-files.ts'
import { ModelStore } from '../../src/control/learning/model-store.ts'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { onlyValue } from '../support/wire-message.ts'

/** The model's way from a file to the tier of a client, and what clients do on its way into the history. */
const bed = await Testbed.open({ routerOnly: true, settings: { analyzer: { mode: 'enforce' } } })
const data = join(bed.router.directory, 'data')
const store = new ModelStore(data)

/** Says of the bed's user with this application that it is surely `low` in one model, `background` in another. */
function modelFor(application: string, scores: readonly number[]) {
  const names = { user: bed.role.user, database: bed.database, application, subnet: '127.0.0.0/24' }
  return oneQuestionModel('queries', 100, scores, scores, makeVocabulary([names]))
}

async function tierOfNew(application: string): Promise<string | null> {
  const client = await bed.open({ parameters: { application_name: application } })
  return onlyValue(await client.query('SHOW switchyard.tier'))
}

test('a model that is promoted counts after RELOAD, and the one before it after a rollback', async () => {
  assert.equal(await tierOfNew('reports'), 'medium')
  store.promote(modelFor('reports', [0, 0, 6, 0]))
  await bed.console.query('RELOAD')
  await waitUntil('the model to count', async () => (await tierOfNew('reports')) === 'low')
  store.promote(modelFor('reports', [0, 0, 0, 6]))
  await bed.console.query('RELOAD')
  await waitUntil('the second model to count', async () => (await tierOfNew('reports')) === 'background')
  assert.equal(store.rollback(), true)
  await bed.console.query('RELOAD')
  await waitUntil('the first model to count again', async () => (await tierOfNew('reports')) === 'low')
})

test('a model file that is damaged is refused, and the last good one goes on', async () => {
  store.promote(modelFor('reports', [0, 0, 6, 0]))
  await bed.console.query('RELOAD')
  await waitUntil('the model to count', async () => (await tierOfNew('reports')) === 'low')
  writeFileSync(
    store.currentPath,
    readFileSync(store.currentPath, 'utf8').replace('"temperature":1', '"temperature":2'),
  )
  await bed.console.query('RELOAD')
  await waitUntil('the refusal', () => bed.router.log.some((line) => line.includes('its hash is another one')))
  assert.equal(await tierOfNew('reports'), 'low')
})

test('the console and the metrics show whom the model decided on, and why', async () => {
  store.promote(modelFor('seen', [0, 0, 6, 0]))
  await bed.console.query('RELOAD')
  await waitUntil('the model to count', async () => (await tierOfNew('seen')) === 'low')
  const client = await bed.open({ parameters: { application_name: 'seen' } })
  await client.query('SELECT 1')
  const profile = (await bed.show('PROFILES')).findLast((row) => row.application === 'seen')
  assert.equal(profile?.tier, 'low')
  assert.equal(profile?.source, 'model')
  assert.equal(profile?.identity_seen, true)
  const { rows } = await bed.console.query(`EXPLAIN TIER ${profile?.id}`)
  assert.match(String(Object.values(rows[0])[0]), /^The client is low\. The model [0-9a-f]{8} says low\.$/)
  const low = (await bed.show('TIERS')).find(({ tier }) => tier === 'low')
  assert.ok(Number(low?.by_model) >= 1)
  const page = await (await fetch(`http://127.0.0.1:${bed.router.httpPort}/metrics`)).text()
  assert.match(page, /^switchyard_clients_by_tier\{tier="low",source="model"\} [1-9]/m)
})

test('what clients do is in the history, without what they say', async () => {
  const client = await bed.open({ parameters: { application_name: 'historic-17' } })
  for (let query = 0; query < 4; query += 1) await client.query("SELECT 'secret value'")
  client.close()
  const history = join(data, 'history')
  await waitUntil('the end of the client in the history', async () => {
    const rows = (await readHistory(history)).filter(({ application }) => application === 'historic-#')
    return rows.length === 4 && rows.at(-1)?.kind === 'end'
  })
  const rows = (await readHistory(history)).filter(({ application }) => application === 'historic-#')
  assert.deepEqual(
    rows.map(({ kind, queries, user }) => [kind, queries, user]),
    [
      ['running', 0, bed.role.user],
      ['running', 1, bed.role.user],
      ['running', 4, bed.role.user],
      ['end', 4, bed.role.user],
    ],
  )
  for (const file of historyFiles(history)) assert.ok(!readFileSync(file).includes('secret value'))
})
