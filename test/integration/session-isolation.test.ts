import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDirect, Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { rowsOf, sqlstatesOf } from '../support/wire-message.ts'

const SERVERS = 3
const bed = await Testbed.open({ settings: { pool: { size: SERVERS } } })

await bed.sql(`
  CREATE SEQUENCE counter;
  CREATE FUNCTION remember(value text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RETURN set_config('work_mem', value, false); END $$;
  CREATE PROCEDURE remember_by_call(value text) LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config('work_mem', value, false); END $$;
  CREATE ROLE ${bed.role.user}_other;
  GRANT ${bed.role.user}_other TO ${bed.role.user};
  GRANT ALL ON SEQUENCE counter TO PUBLIC;
  GRANT CREATE ON SCHEMA public TO PUBLIC;
`)
bed.onEnd(() => bed.cluster.sql(`DROP ROLE ${bed.role.user}_other`))

interface State {
  readonly name: string
  /** What the owner runs: SQL, or frames with their number of ReadyForQuery. */
  readonly leave: string | (() => { frames: Buffer; readies: number })
  /** Shows the state to whoever has it. */
  readonly probe: string
  /** What the owner must see afterwards; a stranger must see what a fresh session sees. */
  readonly owner: string
}

const WORK_MEM = 'SHOW work_mem'
const setConfig = (value: string) => `set_config('work_mem', '${value}', false)`

const states: readonly State[] = [
  { name: 'a parameter that is not reported', leave: `SET work_mem = '5MB'`, probe: WORK_MEM, owner: '5MB' },
  { name: 'one set behind comments', leave: `/* x */ -- y\n sEt\twork_mem to '5MB'`, probe: WORK_MEM, owner: '5MB' },
  { name: 'one set last of several', leave: `SELECT 1; SELECT 2; SET work_mem = '5MB'`, probe: WORK_MEM, owner: '5MB' },
  { name: 'set_config', leave: `SELECT ${setConfig('5MB')}`, probe: WORK_MEM, owner: '5MB' },
  {
    name: 'set_config in a WITH',
    leave: `WITH x AS (SELECT ${setConfig('5MB')}) SELECT * FROM x`,
    probe: WORK_MEM,
    owner: '5MB',
  },
  { name: 'set_config in a COPY', leave: `COPY (SELECT ${setConfig('5MB')}) TO STDOUT`, probe: WORK_MEM, owner: '5MB' },
  {
    name: 'set_config under a quoted name',
    leave: `SELECT pg_catalog."set_config"('work_mem', '5MB', false)`,
    probe: WORK_MEM,
    owner: '5MB',
  },
  { name: 'a function that sets', leave: `SELECT remember('5MB')`, probe: WORK_MEM, owner: '5MB' },
  { name: 'a procedure that sets', leave: `CALL remember_by_call('5MB')`, probe: WORK_MEM, owner: '5MB' },
  {
    name: 'a DO block that sets',
    leave: `DO $$ BEGIN PERFORM ${setConfig('5MB')}; END $$`,
    probe: WORK_MEM,
    owner: '5MB',
  },
  {
    name: 'EXECUTE of what sets',
    leave: `PREPARE setter AS SELECT ${setConfig('5MB')}; EXECUTE setter`,
    probe: WORK_MEM,
    owner: '5MB',
  },
  { name: 'SET in a transaction', leave: `BEGIN; SET work_mem = '5MB'; COMMIT`, probe: WORK_MEM, owner: '5MB' },
  {
    name: 'SET in the extended protocol',
    leave: () => ({ frames: wire.extendedQuery(`SET work_mem = '5MB'`), readies: 1 }),
    probe: WORK_MEM,
    owner: '5MB',
  },
  {
    name: 'set_config by parameters',
    leave: () => ({ frames: wire.extendedQuery('SELECT set_config($1, $2, false)', ['work_mem', '5MB']), readies: 1 }),
    probe: WORK_MEM,
    owner: '5MB',
  },
  {
    name: 'set_config by a function call message',
    leave: () => ({ frames: wire.functionCall(2078, ['work_mem', '5MB', 'f']), readies: 1 }),
    probe: WORK_MEM,
    owner: '5MB',
  },
  {
    name: 'a parameter of an application',
    leave: `SET app.tenant = '42'`,
    probe: `SELECT coalesce(current_setting('app.tenant', true), '')`,
    owner: '42',
  },
  { name: 'search_path', leave: 'SET search_path = pg_catalog', probe: 'SHOW search_path', owner: 'pg_catalog' },
  {
    name: 'a role',
    leave: `SET ROLE ${bed.role.user}_other`,
    probe: 'SELECT current_user',
    owner: `${bed.role.user}_other`,
  },
  {
    name: 'session characteristics',
    leave: 'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY',
    probe: 'SHOW transaction_read_only',
    owner: 'on',
  },
  {
    name: 'a temporary table',
    leave: 'CREATE TEMP TABLE mine (x int)',
    probe: `SELECT (to_regclass('mine') IS NOT NULL)::text`,
    owner: 'true',
  },
  {
    name: 'SELECT INTO a temporary table',
    leave: 'SELECT 1 AS x INTO TEMP mine',
    probe: `SELECT (to_regclass('mine') IS NOT NULL)::text`,
    owner: 'true',
  },
  {
    name: 'a temporary table by schema',
    leave: 'CREATE TABLE pg_temp.mine (x int)',
    probe: `SELECT (to_regclass('mine') IS NOT NULL)::text`,
    owner: 'true',
  },
  {
    name: 'a temporary view',
    leave: 'CREATE TEMPORARY VIEW mine AS SELECT 1',
    probe: `SELECT (to_regclass('mine') IS NOT NULL)::text`,
    owner: 'true',
  },
  {
    name: 'an advisory lock',
    leave: 'SELECT pg_advisory_lock(4711)',
    probe: `SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()`,
    owner: '1',
  },
  {
    name: 'an advisory lock that was free',
    leave: 'SELECT pg_try_advisory_lock(4712)',
    probe: `SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()`,
    owner: '1',
  },
  {
    name: 'a statement of PREPARE',
    leave: 'PREPARE mine AS SELECT 1',
    probe: `SELECT count(*)::text FROM pg_prepared_statements WHERE name = 'mine'`,
    owner: '1',
  },
  {
    name: 'LISTEN',
    leave: 'LISTEN mine',
    probe: `SELECT count(*)::text FROM pg_listening_channels() c WHERE c = 'mine'`,
    owner: '1',
  },
  {
    name: 'a cursor WITH HOLD',
    leave: 'DECLARE mine CURSOR WITH HOLD FOR SELECT 1',
    probe: `SELECT count(*)::text FROM pg_cursors WHERE name = 'mine'`,
    owner: '1',
  },
  {
    name: 'the value of a sequence',
    leave: `SELECT nextval('counter')`,
    probe: `SELECT (currval('counter') > 0)::text`,
    owner: 'true',
  },
]

async function leave(client: WireClient, state: State): Promise<void> {
  const { frames, readies } =
    typeof state.leave === 'string' ? { frames: wire.query(state.leave), readies: 1 } : state.leave()
  assert.deepEqual(sqlstatesOf(await client.exchange(frames, readies)), [])
}

/** The value, or the SQLSTATE of an error. */
async function probe(client: WireClient, state: State): Promise<string> {
  const answer = await client.query(state.probe)
  return sqlstatesOf(answer)[0] ?? String(rowsOf(answer).at(-1)?.[0])
}

/** What each of as many sessions as there are server connections sees, all looking at the same time. */
async function seenByOthers(clients: readonly WireClient[], state: State): Promise<Set<string>> {
  return new Set(await Promise.all(clients.map((client) => probe(client, state))))
}

for (const state of states) {
  test(`${state.name}: seen by its session, by no other, and gone when the session is`, async () => {
    const others = await bed.openMany(2 * SERVERS)
    const fresh = await seenByOthers(others, state)
    assert.equal(fresh.size, 1)
    assert.ok(!fresh.has(state.owner), `a fresh session sees ${state.owner} already`)
    const owner = await bed.open()
    await leave(owner, state)
    for (let round = 0; round < 3; round += 1) {
      assert.deepEqual(await seenByOthers(others, state), fresh, 'another session sees it')
      assert.equal(await probe(owner, state), state.owner, 'the session has lost it')
    }
    await owner.goodbye()
    for (let round = 0; round < 3; round += 1) assert.deepEqual(await seenByOthers(others, state), fresh)
  })
}

for (const state of states.filter(({ name }) =>
  /^(a parameter that|a temporary table|an advisory lock|LISTEN)$/.test(name),
)) {
  test(`${state.name}: gone when its session was killed`, async () => {
    const others = await bed.openMany(2 * SERVERS)
    const fresh = await seenByOthers(others, state)
    const owner = await bed.open()
    await leave(owner, state)
    owner.reset()
    for (let round = 0; round < 5; round += 1) assert.deepEqual(await seenByOthers(others, state), fresh)
  })
}

for (const [name, sql] of [
  ['SET LOCAL', `BEGIN; SET LOCAL work_mem = '5MB'; COMMIT`],
  ['SET that was rolled back', `BEGIN; SET work_mem = '5MB'; ROLLBACK`],
  ['SET that failed', `SET work_mem = 'nonsense'`],
  ['a lock of a transaction', 'BEGIN; SELECT pg_advisory_xact_lock(4711); COMMIT'],
  [
    'a temporary table dropped at the end of its transaction',
    'BEGIN; CREATE TEMP TABLE t (x int) ON COMMIT DROP; COMMIT',
  ],
] as const) {
  test(`${name} leaves nothing, and its session shares again`, { skip: isDirect && 'of the pool' }, async () => {
    const [client] = await bed.openMany(1)
    await client!.query(sql)
    const [pool] = [await bed.pool()]
    assert.ok((pool.sv_active ?? 0) <= 1)
    const others = await bed.openMany(2 * SERVERS)
    const seen = await seenByOthers(others, states[0]!)
    assert.deepEqual([...seen].length, 1)
    assert.notEqual([...seen][0], '5MB')
  })
}

test('sessions that are pinned say why, and a pool full of them makes others wait, not fail', {
  skip: isDirect && 'of the pool',
}, async () => {
  const owners = await bed.openMany(SERVERS)
  for (const owner of owners) await owner.query('CREATE TEMP TABLE mine (x int)')
  const pinned = (await bed.show('CLIENTS')).filter((row) => String(row.pinned).includes('temporaryObject'))
  assert.equal(pinned.length, SERVERS)
  const late = await bed.open()
  late.send(wire.query('SELECT 1'))
  await waitUntil('the late client to wait', async () => (await bed.pool()).cl_waiting === 1)
  await owners[0]!.goodbye()
  assert.deepEqual(sqlstatesOf(await late.until('Z')), [])
})

test('DISCARD ALL sets a session free again', { skip: isDirect && 'of the pool' }, async () => {
  const owner = await bed.open()
  await owner.query('CREATE TEMP TABLE mine (x int)')
  assert.deepEqual(sqlstatesOf(await owner.query('DISCARD ALL')), [])
  await waitUntil('no pinned session', async () => (await bed.pool()).cl_pinned === 0)
})
