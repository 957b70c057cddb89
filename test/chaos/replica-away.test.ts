import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ContinuityBed } from '../support/continuity-bed.ts'
import { openConsole } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'

const bed = await ContinuityBed.open({ failover: { mode: 'local' }, timeouts: { server_connect: '500ms' } })
const [first, second, third] = ['shard-1', 'shard-2', 'shard-3'] as const
await bed.on(first)('CREATE TABLE written (x int)')

const SUM = 'SELECT count(*)::int AS n, coalesce(sum(x), 0)::int AS sum FROM written'

const PATIENT = { timeoutMs: 40_000, everyMs: 100 }

/** Operations of the router, the last one first. */
async function operations(): Promise<readonly { readonly operation: string; readonly state: string }[]> {
  const console = await openConsole(bed.router)
  try {
    return (await console.query('SHOW OPERATIONS')).rows
  } finally {
    await console.end()
  }
}

async function over(operation: RegExp, times = 1): Promise<void> {
  await waitUntil(
    `${operation} to be over`,
    async () =>
      (await operations()).filter(({ operation: text, state }) => operation.test(text) && state === 'done').length ===
      times,
    PATIENT,
  )
}

async function told(what: RegExp): Promise<void> {
  await waitUntil(`the log to say ${what}`, () => what.test(bed.router.tail(5_000)), PATIENT)
}

async function shown(shard: string): Promise<{ role: string; reason: string }> {
  const console = await openConsole(bed.router)
  try {
    const { rows } = await console.query('SHOW SHARDS')
    return rows.find(({ name }) => name === shard)
  } finally {
    await console.end()
  }
}

function dataOf(shard: string): string {
  return String(bed.shards.find(({ name }) => name === shard)?.dataDirectory)
}

async function primaryIs(shard: string): Promise<void> {
  await waitUntil(`${shard} to be the primary`, async () => (await shown(shard)).role === 'primary', PATIENT)
}

async function follow(primary: string, ...replicas: readonly string[]): Promise<void> {
  await waitUntil(
    `${replicas.join()} to stream from ${primary}`,
    async () => (await bed.streaming(primary)).length === replicas.length,
    PATIENT,
  )
  const [wanted] = await bed.on(primary)(SUM)
  for (const replica of replicas) {
    // One that has more streams for moments as well.
    await waitUntil(
      'equal data',
      async () => JSON.stringify((await bed.on(replica)(SUM))[0]) === JSON.stringify(wanted),
      PATIENT,
    )
  }
}

async function killControl(): Promise<void> {
  const { control } = bed.router.pids
  process.kill(control, 'SIGKILL')
  await waitUntil('another control', () => {
    const now = bed.router.pids.control
    return now > 0 && now !== control
  })
}

test('a replica that was away during a failover follows the new primary when it is back, also of another control process', async () => {
  await bed.driver.fence(third)
  await bed.driver.fence(first)
  await over(/^failover/)
  await primaryIs(second)
  await follow(second, first)
  await killControl()
  await bed.on(second)('INSERT INTO written SELECT generate_series(1, 1000)')
  // With its old settings: it looks for its log where the lost one was.
  await bed.driver.start(third)
  await follow(second, first, third)
  await told(/shard-3 does not follow shard-2, the primary of main: it streams/)
  await told(/rejoining of shard-3 in main is done/)
})

test('the same of a switchover', async () => {
  await bed.driver.fence(third)
  await waitUntil('it to be known', async () => (await shown(third)).reason === 'connection refused')
  const console = await openConsole(bed.router)
  await console.query('SWITCHOVER main TO "shard-1"').finally(() => console.end())
  await primaryIs(first)
  await bed.on(first)('INSERT INTO written SELECT generate_series(1, 1000)')
  await bed.driver.start(third)
  await follow(first, second, third)
})

test('a replica that has more of the lost log than the new primary is copied from it', async () => {
  const [receiver] = await bed.on(second)('SELECT pid FROM pg_stat_wal_receiver')
  const pid = Number(receiver?.pid)
  process.kill(pid, 'SIGSTOP')
  await bed.on(first)('INSERT INTO written SELECT generate_series(1, 5000)')
  await waitUntil('the third to have it', async () => (await bed.on(third)(SUM))[0]?.n === 7000)
  await bed.driver.fence(third)
  await bed.driver.fence(first)
  // It ends before it has read any more.
  process.kill(pid, 'SIGTERM')
  process.kill(pid, 'SIGCONT')
  await primaryIs(second)
  await over(/^failover of main, which lost shard-1/, 2)
  await bed.on(second)('INSERT INTO written VALUES (-1)')
  await bed.driver.start(third)
  await follow(second, first, third)
  assert.equal((await bed.on(third)(SUM))[0]?.n, 2001)
  await told(/shard-3 is a new copy of shard-2/)
})

test('an old primary that somebody starts as one, and writes to, becomes a replica', async () => {
  await bed.driver.stop(third)
  rmSync(join(dataOf(third), 'standby.signal'))
  await bed.on(second)('SELECT pg_switch_wal()')
  await bed.driver.fence(second)
  await primaryIs(first)
  await over(/^failover of main, which lost shard-2/, 1)
  await bed.driver.start(third)
  await waitUntil('it to be written to', () =>
    bed
      .on(third)('INSERT INTO written VALUES (-2)')
      .then(
        () => true,
        () => false,
      ),
  )
  await follow(first, second, third)
  assert.equal((await bed.on(third)(SUM))[0]?.n, 2001)
})
