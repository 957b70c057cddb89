import assert from 'node:assert/strict'
import { test } from 'node:test'
import { killPlane } from '../support/plane-killer.ts'
import type { RouterSettings } from '../support/router-settings.ts'
import { openConsole, Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import { rowsOf, sqlstatesOf, type WireMessage } from '../support/wire-message.ts'

/** `capped`: what the rule of the clients says that the tests are about. */
function settings(
  { cluster, role, database }: Testbed,
  capped: RouterSettings = { max: 1, queue: 3 },
  medium: RouterSettings = {},
): RouterSettings {
  const { primary, replicas } = cluster.coordinates
  return {
    shards: [
      { name: 'west', ...primary, slots: 3 },
      { name: 'east', ...replicas[0]! },
    ],
    routing: { reads: 'replicas' },
    tiers: {
      medium: { pools: 'primary', ...medium },
      high: { pools: 'replicas' },
      rules: [
        { application: 'reader', pools: 'replicas' },
        { application: 'writer', tier: 'high', pools: 'primary' },
        { application: 'hasty', queue: 0 },
        { user: role.user, database, application: 'capped', ...capped },
        { user: 'nobody', application: 'other', max: 1 },
      ],
    },
  }
}

const bed = await Testbed.open({ routerOnly: true, replicas: 1, leakCheck: false, settings: (it) => settings(it) })

const as = (application: string): Promise<WireClient> => bed.open({ parameters: { application_name: application } })

/** The console's clients do not outlive a plane. */
let watching = bed.console

/** What the rule has at the primary: `held` and `waiting`, and what it may have. */
async function standing(): Promise<Record<string, unknown>> {
  const { rows } = await watching.query('SHOW SLOTS')
  const { held, waiting, allowed } = rows.find(({ shard, rule }) => shard === 'west' && rule === 4) ?? {}
  return { held, waiting, allowed }
}

const stands = (held: number, waiting: number, allowed: number): Promise<unknown> =>
  waitUntil(`${held} of ${allowed} slots, ${waiting} waiting`, async () => {
    const now = await standing()
    return now.held === held && now.waiting === waiting && now.allowed === allowed
  })

/** Sends something that writes, and notes in `story` when it is answered. */
function ask(client: WireClient, name: string, story: string[]): Promise<WireMessage[]> {
  return client.query('SELECT txid_current()').then((answer) => {
    story.push(name)
    return answer
  })
}

/** They get in line one after the other. */
async function queueUp(clients: readonly WireClient[], story: string[], held: number, allowed: number) {
  const answers: Promise<WireMessage[]>[] = []
  for (const [count, client] of clients.entries()) {
    answers.push(ask(client, String(count), story))
    await stands(held, count + 1, allowed)
  }
  return answers
}

/** When whoever waits longest got in line, by the clock of the test. */
async function waitingSince(): Promise<number> {
  const { rows } = await watching.query('SHOW CLIENTS')
  const waits = rows.filter(({ state }) => state === 'waiting').map((row) => row.wait * 1000 + row.wait_us / 1000)
  return performance.now() - Math.max(0, ...waits)
}

async function reload(capped?: RouterSettings, medium?: RouterSettings): Promise<void> {
  bed.router.writeSettings(bed.settings(settings(bed, capped, medium)))
  await bed.console.query('RELOAD')
}

test('clients of a rule have no more slots than it allows, in nobody’s way and in a queue of their own', async () => {
  const [holder, one, two, three, surplus] = await Promise.all(Array.from({ length: 5 }, () => as('capped')))
  const other = await as('other')
  await holder!.query('BEGIN')
  const story: string[] = []
  const answers = await queueUp([one!, two!, three!], story, 1, 1)
  assert.deepEqual(sqlstatesOf(await other.query('SELECT txid_current()')), [])
  const [refusal] = (await surplus!.query('SELECT txid_current()')).filter(({ type }) => type === 'E')
  assert.equal(refusal?.sqlstate, '53300')
  assert.equal(refusal?.fields.M, 'too many transactions like this one wait for shard "west"')
  assert.match(refusal?.fields.H ?? '', /tiers\.rules\[3\]\.queue/)
  assert.deepEqual(
    (await bed.show('QUEUES')).filter(({ rule }) => rule !== null).map(({ rule, waiting }) => [rule, waiting]),
    [[4, 3]],
  )
  const { id } = (await bed.show('CLIENTS')).find(({ state }) => state === 'waiting') ?? {}
  const route = JSON.stringify((await bed.console.query(`EXPLAIN ROUTE FOR ${id}`)).rows)
  const whose = `user ${bed.role.user}, database ${bed.database}, application capped`
  assert.ok(route.includes(`rule 4 of tiers.rules (${whose}) says max = 1; queue = 3`), route)
  assert.match(route, /clients of its rule have 1 of 1, 3 wait, so that it waits for one of those/)
  await holder!.query('COMMIT')
  for (const answer of await Promise.all(answers)) assert.deepEqual(sqlstatesOf(answer), [])
  assert.deepEqual(story, ['0', '1', '2'])
  await stands(0, 0, 1)
})

test('reads run in the pools of a rule instead of those of its tier', async () => {
  const transactions = async (): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${bed.router.httpPort}/metrics`)).text()
    const lines = text.split('\n').filter((line) => /^switchyard_transactions_total\{.*shard="east"/.test(line))
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }
  const onReplica = async (application: string): Promise<boolean> => {
    const client = await as(application)
    const before = await transactions()
    for (let query = 0; query < 3; query++) await client.query('SELECT 1')
    return (await transactions()) > before
  }
  await waitUntil('the replica to be used', () => onReplica('reader'))
  assert.equal(await onReplica('other'), false)
  assert.equal(await onReplica('writer'), false)
  const told = rowsOf(await (await as('writer')).query('SHOW switchyard.route'))
  assert.deepEqual(told[1], ['rule', 'for application writer: tier = high; pools = primary'])
  assert.deepEqual(told.at(-1), ['reads', 'run on the primary: the pools of their rule have no replica'])
})

test('the queue of a rule holds whatever that of the tier is', async () => {
  const hasty = await as('hasty')
  const holders = await Promise.all(Array.from({ length: 3 }, () => as('other')))
  const patient = await as('other')
  for (const holder of holders) await holder.query('BEGIN')
  const [refusal] = (await hasty.query('SELECT txid_current()')).filter(({ type }) => type === 'E')
  assert.deepEqual([refusal?.sqlstate, /like this one wait/.test(refusal?.fields.M ?? '')], ['53300', true])
  const answer = patient.query('SELECT txid_current()')
  for (const holder of holders) await holder.query('COMMIT')
  assert.deepEqual(sqlstatesOf(await answer), [])
})

test('RELOAD of a rule counts who has a slot and who waits anew, and holds for the next transaction', async () => {
  const [holder, second, one, two] = await Promise.all(Array.from({ length: 4 }, () => as('capped')))
  await holder!.query('BEGIN')
  const story: string[] = []
  const answers = await queueUp([one!, two!], story, 1, 1)
  await reload({ max: 2, queue: 3 })
  // The second slot is free at once, and both go through it.
  for (const answer of await Promise.all(answers)) assert.deepEqual(sqlstatesOf(answer), [])
  assert.deepEqual(story, ['0', '1'])
  await second!.query('BEGIN')
  await stands(2, 0, 2)
  await reload({ max: 1, queue: 3 })
  const late = await queueUp([one!], story, 2, 1)
  await holder!.query('COMMIT')
  await stands(1, 1, 1)
  // Without a bound the clients are no others than those of their tier.
  await reload({ query: '10s' })
  assert.deepEqual(sqlstatesOf((await Promise.all(late))[0]!), [])
  await second!.query('COMMIT')
  await reload({ max: 1, queue: 3 })
  await stands(0, 0, 1)
})

test('RELOAD of what a tier may have holds for who waits', async () => {
  const [holder, other] = [await as('other'), await as('other')]
  await reload({ max: 1, queue: 3 }, { max: 1 })
  await holder.query('BEGIN')
  const answer = other.query('SELECT txid_current()')
  await waitUntil('somebody to wait', async () => {
    const rows = await bed.show('QUEUES')
    return rows.some(({ tier, waiting, allowed }) => tier === 'medium' && waiting === 1 && allowed === 1)
  })
  await reload()
  assert.deepEqual(sqlstatesOf(await answer), [])
  await holder.query('COMMIT')
})

test('a plane that takes over knows who has a slot of the rule, and who waits for one in which order', async () => {
  const [holder, one, two, three] = await Promise.all(Array.from({ length: 4 }, () => as('capped')))
  const other = await as('other')
  await holder!.query('BEGIN')
  const story: string[] = []
  const answers = await queueUp([one!, two!], story, 1, 1)
  await waitUntil('them to have waited for a second', async () => performance.now() - (await waitingSince()) > 1000)
  const since = await waitingSince()
  await killPlane(bed.router)
  const killedAt = performance.now()
  watching = bed.onClose(await openConsole(bed.router), (client) => client.end())
  await stands(1, 2, 1)
  // Not since there is another plane.
  assert.ok((await waitingSince()) - since < (killedAt - since) / 2)
  assert.deepEqual(sqlstatesOf(await other.query('SELECT txid_current()')), [])
  answers.push(ask(three!, '2', story))
  await stands(1, 3, 1)
  assert.deepEqual(story, [])
  await holder!.query('COMMIT')
  for (const answer of await Promise.all(answers)) assert.deepEqual(sqlstatesOf(answer), [])
  assert.deepEqual(story, ['0', '1', '2'])
  await stands(0, 0, 1)
})
