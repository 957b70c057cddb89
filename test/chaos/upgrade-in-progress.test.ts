import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import pg from 'pg'
import { killPlane } from '../support/plane-killer.ts'
import type { RouterProcess } from '../support/router-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { openConsole, Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { sendCancel, type WireAddress, WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf, type WireMessage } from '../support/wire-message.ts'

const bed = await Testbed.open({ routerOnly: true, start: false })
await bed.sql('CREATE TABLE copied (n int); GRANT ALL ON copied TO PUBLIC')

/** Who waits for this lock goes on when the test lets it. */
const GATE = 4711
const ROWS = 20_000
const atGate = (kind: string): string => `SELECT 0 FROM (SELECT pg_advisory_${kind}(${GATE})) gate`

async function closeGate(): Promise<() => Promise<void>> {
  const { host, port } = bed.cluster.primary
  const client = new pg.Client({ host, port, ...bed.role, database: bed.database })
  client.on('error', () => {})
  await client.connect()
  await client.query(`SELECT pg_advisory_lock(${GATE})`)
  bed.onClose(client, () => client.end().catch(() => {}))
  return () => client.end()
}

async function show(router: RouterProcess, command: string): Promise<Record<string, unknown>[]> {
  const console = await openConsole(router)
  try {
    return (await console.query(`SHOW ${command}`)).rows
  } finally {
    await console.end()
  }
}

/** What clients do to the pool, and what the shard's slots are used for. */
async function standing(router: RouterProcess): Promise<{ lines: readonly number[]; slots: unknown }> {
  const pool = (await show(router, 'POOLS')).find(({ database }) => database === bed.database)
  const slots = (await show(router, 'SLOTS')).map(({ tier, held, waiting }) => [tier, Number(held), Number(waiting)])
  const lines = ['cl_active', 'cl_waiting', 'sv_active'].map((name) => Number(pool?.[name]))
  return { lines, slots: slots.filter(([, held, waiting]) => Number(held) + Number(waiting) > 0) }
}

interface Work {
  readonly client: WireClient
  /** What was begun before goes on, after `replaced`. */
  readonly goesOn: () => Promise<void>
}

/** All kinds of work, each in its middle. Six server connections. */
async function beginWork(
  router: RouterProcess,
  open: () => Promise<WireClient>,
  openGate: () => Promise<void>,
): Promise<Work[]> {
  const [copying, reading, asking, pinned, cancelled, listening] = await Promise.all(Array.from({ length: 6 }, open))
  assert.ok(copying && reading && asking && pinned && cancelled && listening)
  copying.send(wire.query('COPY copied FROM STDIN'))
  assert.equal((await copying.next()).type, 'G')
  const rows = (from: number, to: number): Buffer =>
    wire.copyData(Array.from({ length: to - from }, (_, n) => `${from + n}\n`).join(''))
  await copying.sent(rows(0, ROWS / 2))
  const half = `SELECT n FROM generate_series(1, ${ROWS / 2}) n`
  reading.send(wire.query(`COPY (${half} UNION ALL ${atGate('xact_lock_shared')} UNION ALL ${half}) TO STDOUT`))
  await asking.exchange(Buffer.concat([wire.parse('twice', 'SELECT $1::int * 2'), wire.sync()]))
  asking.send(wire.query(`${atGate('xact_lock_shared')}`))
  await pinned.query('CREATE TEMP TABLE own AS SELECT 7 AS n')
  cancelled.send(wire.query('SELECT pg_sleep(600)'))
  await listening.query('LISTEN news')
  await waitUntil('all of it to run', async () => {
    const running = await bed.cluster.backends(bed.database)
    return running.filter(({ state }) => state === 'active').length === 4
  })
  return [
    {
      client: copying,
      goesOn: async () => {
        await copying.sent(rows(ROWS / 2, ROWS))
        copying.send(wire.copyDone())
        assert.deepEqual(sqlstatesOf(await copying.until('Z')), [])
        assert.equal(
          onlyValue(await copying.query('SELECT count(DISTINCT n) || $$ $$ || count(*) FROM copied')),
          `${ROWS} ${ROWS}`,
        )
      },
    },
    {
      client: pinned,
      goesOn: async () => {
        assert.equal(onlyValue(await pinned.query('SELECT n FROM own')), '7')
      },
    },
    {
      client: cancelled,
      goesOn: async () => {
        await sendCancel(router, cancelled.cancelPid, cancelled.cancelKey)
        assert.deepEqual(sqlstatesOf(await cancelled.until('Z')), ['57014'])
      },
    },
    {
      client: listening,
      goesOn: async () => {
        await bed.sql(`SELECT pg_notify('news', 'late')`)
        assert.equal((await listening.until('A')).at(-1)?.body.toString('latin1', 4), 'news\0late\0')
      },
    },
    {
      client: asking,
      goesOn: async () => {
        await openGate()
        assert.equal(onlyValue(await asking.until('Z')), '0')
        const execution = Buffer.concat([wire.bind('', 'twice', ['21']), wire.execute(''), wire.sync()])
        assert.equal(onlyValue(await asking.exchange(execution)), '42')
      },
    },
    {
      client: reading,
      goesOn: async () => {
        const answer = await reading.until('Z')
        assert.deepEqual(sqlstatesOf(answer), [])
        assert.equal(linesOf(answer), ROWS + 1)
      },
    },
  ]
}

const linesOf = (answer: readonly WireMessage[]): number => answer.filter(({ type }) => type === 'd').length

async function upgrade(router: RouterProcess): Promise<void> {
  process.kill(router.pids.keeper, 'SIGUSR2')
  await waitUntil('the upgrade', () => /upgrade (done|failed|refused)/.test(router.tail(1000)), { timeoutMs: 60_000 })
  assert.match(router.tail(1000), /upgrade done: .* 0 dropped/)
}

const replacements = [
  ['an upgrade', 'TCP', upgrade],
  ['an upgrade', 'a Unix socket', upgrade],
  ['a crash', 'TCP', killPlane],
] as const

for (const [what, way, replace] of replacements) {
  test(`${what}, clients over ${way}: all that is under way goes on, in its place in line`, async () => {
    const directory = temporaryDirectory()
    await bed.sql('TRUNCATE copied')
    const router = await bed.startRouter({ listen: { unix_socket_directory: directory }, pool: { size: 6 } })
    const address: WireAddress = way === 'TCP' ? router : { host: directory, port: router.port }
    const open = async (): Promise<WireClient> =>
      bed.onClose(await WireClient.open(address, bed.login), (client) => client.close())
    const openGate = await closeGate()
    const work = await beginWork(router, open, openGate)
    const holder = await open()
    await holder.query('BEGIN; SELECT 1')
    const served: number[] = []
    const waits = async (number: number): Promise<void> => {
      const client = await open()
      const answer = client.query(`SELECT ${number} FROM pg_sleep(0.02)`).then((messages) => {
        assert.equal(onlyValue(messages), String(number))
        served.push(number)
      })
      waiting.push(answer)
      await waitUntil('it to wait', async () => (await standing(router)).lines[1] === number)
    }
    const waiting: Promise<void>[] = []
    for (const number of [1, 2, 3]) await waits(number)
    const before = await standing(router)
    await replace(router)
    await waitUntil('everybody to be in his place', async () => isDeepStrictEqual(await standing(router), before))
    await waits(4)
    assert.deepEqual(served, [])
    await holder.query('COMMIT')
    await Promise.all(waiting)
    assert.deepEqual(served, [1, 2, 3, 4])
    for (const { goesOn } of work) await goesOn()
  })
}
