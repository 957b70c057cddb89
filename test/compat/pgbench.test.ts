import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runProgram, skipWithout } from '../support/installed-program.ts'
import { Testbed } from '../support/testbed.ts'

const skip = skipWithout('pgbench')
const bed = await Testbed.open({ settings: { pool: { size: 5 } } })

async function pgbench(...args: string[]): Promise<string> {
  const { host, port } = bed.address
  const env = {
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: bed.role.user,
    PGPASSWORD: bed.role.password,
    PGDATABASE: bed.database,
  }
  const { status, stdout, stderr } = await runProgram('pgbench', args, { env })
  assert.equal(status, 0, `${stdout}\n${stderr}`)
  return stdout
}

function processed(output: string): number {
  return Number(/transactions actually processed: (\d+)/.exec(output)?.[1] ?? 0)
}

test('initialises its tables, with COPY and with vacuum', { skip }, async () => {
  await pgbench('--initialize', '--scale=1', '--quiet')
  const [row] = await bed.sql('SELECT count(*)::int AS rows FROM pgbench_accounts')
  assert.equal(row?.rows, 100_000)
})

// A thread for each client: pgbench waits for the answer to its Parse with the whole thread, and so would keep clients
// that are in a transaction from ending it.
for (const mode of ['simple', 'extended', 'prepared']) {
  test(`TPC-B with 20 clients over 5 server connections (${mode}): nothing fails, the books balance`, {
    skip,
  }, async () => {
    await bed.sql(
      'UPDATE pgbench_accounts SET abalance = 0 WHERE abalance <> 0; UPDATE pgbench_tellers SET tbalance = 0',
    )
    await bed.sql('UPDATE pgbench_branches SET bbalance = 0; TRUNCATE pgbench_history')
    const output = await pgbench('--client=20', '--jobs=20', '--transactions=25', `--protocol=${mode}`, '--no-vacuum')
    assert.equal(processed(output), 500)
    const [row] = await bed.sql(`
      SELECT (SELECT sum(abalance) FROM pgbench_accounts)::text AS accounts,
             (SELECT sum(bbalance) FROM pgbench_branches)::text AS branches,
             (SELECT sum(delta) FROM pgbench_history)::text AS history,
             (SELECT count(*) FROM pgbench_history)::int AS entries`)
    assert.equal(row?.entries, 500)
    assert.equal(row?.accounts, row?.history)
    assert.equal(row?.branches, row?.history)
  })

  test(`a connection for each transaction (${mode})`, { skip }, async () => {
    const output = await pgbench(
      '--client=4',
      '--transactions=10',
      '--select-only',
      '--connect',
      `--protocol=${mode}`,
      '--no-vacuum',
    )
    assert.equal(processed(output), 40)
  })
}
