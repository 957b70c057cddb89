import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Testbed } from '../support/testbed.ts'
import { onlyValue } from '../support/wire-message.ts'

/** Who decides on a connection's tier, and how the client and the operator see it. */
const bed = await Testbed.open({
  routerOnly: true,
  settings: ({ database }) => ({
    analyzer: { mode: 'enforce', runaway_rows: 1000, runaway_action: 'demote', runaway_cooldown: '60s' },
    tiers: {
      rules: [
        { application: 'nightly-*', tier: 'background' },
        { application: 'strict', consistency: 'strong' },
      ],
    },
    databases: { [database]: {} },
  }),
})

async function tierOf(application: string): Promise<unknown> {
  const rows = await bed.show('CLIENTS')
  return rows.find((row) => row.application_name === application)?.tier
}

describe('the tier of a connection', () => {
  test('is the default while nothing speaks for another one', async () => {
    const client = await bed.open({ parameters: { application_name: 'nobody' } })
    assert.equal(onlyValue(await client.query('SHOW switchyard.tier')), 'medium')
    assert.equal(await tierOf('nobody'), 'medium')
  })

  test('is what the first rule says, also when the client takes its name later', async () => {
    const client = await bed.open({ parameters: { application_name: 'nightly-7' } })
    assert.equal(onlyValue(await client.query('SHOW switchyard.tier')), 'background')
    const other = await bed.open({ parameters: { application_name: 'daily' } })
    await other.query("SET application_name = 'nightly-8'")
    assert.equal(onlyValue(await other.query('show SWITCHYARD.tier;')), 'background')
    const strict = await bed.open({ parameters: { application_name: 'strict' } })
    assert.equal(onlyValue(await strict.query('SHOW switchyard.tier')), 'medium')
  })

  test('is lowered by a setting, until that is reset, and not raised', async () => {
    const client = await bed.open({ parameters: { application_name: 'hinted' } })
    await client.query("SET switchyard.tier = 'low'")
    assert.equal(await tierOf('hinted'), 'low')
    await client.query("SET switchyard.tier = 'high'")
    assert.equal(await tierOf('hinted'), 'medium')
    await client.query("BEGIN; SET switchyard.tier = 'background'")
    await client.query('ROLLBACK')
    assert.equal(await tierOf('hinted'), 'medium')
  })

  test('is lowered by the startup packet', async () => {
    const client = await bed.open({ parameters: { application_name: 'started', options: '-c switchyard.tier=low' } })
    assert.equal(onlyValue(await client.query('SHOW switchyard.tier')), 'low')
  })

  test('is lowered by a comment, for one transaction', async () => {
    const client = await bed.open({ parameters: { application_name: 'commented' } })
    const seen = client.query("BEGIN /*tier='background'*/")
    await seen
    assert.equal(await tierOf('commented'), 'background')
    await client.query('COMMIT')
    assert.equal(await tierOf('commented'), 'medium')
  })

  test('is lowered after a request that was too much', async () => {
    const client = await bed.open({ parameters: { application_name: 'greedy' } })
    await client.query('SELECT generate_series(1, 1000)')
    assert.equal(onlyValue(await client.query('SHOW switchyard.tier')), 'medium')
    await client.query('SELECT generate_series(1, 1001)')
    assert.equal(onlyValue(await client.query('SHOW switchyard.tier')), 'low')
  })

  test('is told to drivers that use the extended protocol, within transactions too, with why it is so', async () => {
    const client = await bed.connectPg({ application_name: 'nightly-9' })
    await client.query('BEGIN')
    const { rows } = await client.query({ text: 'SHOW switchyard.profile', name: 'profile' })
    const profile = Object.fromEntries(rows.map(({ name, value }) => [name, value]))
    assert.equal(profile.tier, 'background')
    assert.equal(profile.source, 'rule')
    assert.equal(profile.why, 'Rule 1 of tiers.rules says background.')
    assert.match(profile.identity, /nightly-# /)
    const tier = await client.query({ text: 'SHOW switchyard.tier', values: [] })
    assert.deepEqual(tier.rows, [{ 'switchyard.tier': 'background' }])
    await client.query('COMMIT')
  })
})
