import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recordsOf, TestRouter, testOperation } from '../../router-control.fixture.ts'
import type { ActionCommand } from '../command.ts'
import { splitStatements } from '../tokens.ts'
import { drain, patch, restart, switchover, undrain } from './operations.ts'
import { showOperations } from './show-operations.ts'

async function give(command: ActionCommand, argument: string, control: TestRouter): Promise<readonly string[]> {
  const signal = new AbortController().signal
  return await command.prepare(splitStatements(argument)[0] ?? [])({ control, signal })
}

test('each command is an operation', async () => {
  const router = new TestRouter()
  for (const [command, argument] of [
    [restart, 'shard-1'],
    [drain, 'shard-2'],
    [undrain, 'shard-2'],
    [switchover, 'main'],
    [switchover, 'main to shard-2'],
    [patch, "main to '/opt/pg/bin'"],
  ] as const) {
    assert.deepEqual(await give(command, argument, router), ['Done in 1.5 s; requests waited for 120 ms.'])
  }
  assert.deepEqual(router.calls, [
    'operate {"kind":"restart","shard":"shard-1"}',
    'operate {"kind":"drain","shard":"shard-2"}',
    'operate {"kind":"undrain","shard":"shard-2"}',
    'operate {"kind":"switchover","group":"main","to":null,"from":null}',
    'operate {"kind":"switchover","group":"main","to":"shard-2","from":null}',
    'operate {"kind":"patch","group":"main","binDirectory":"/opt/pg/bin"}',
  ])
})

test('a dry run says what would be done, and does nothing', async () => {
  const router = new TestRouter()
  assert.deepEqual(await give(restart, 'shard-1 DRY RUN', router), [
    'RESTART shard-1 would',
    '1. stop it',
    '2. start it',
  ])
  assert.deepEqual(router.calls, ['plan {"kind":"restart","shard":"shard-1"}'])
})

test('what is worth knowing of it is said', async () => {
  const router = new TestRouter()
  router.operationOutcome = async () => testOperation({ heldMs: 0, detail: 'shard-3 lags.' })
  assert.deepEqual(await give(drain, 'shard-2', router), ['Done in 1.5 s.', 'shard-3 lags.'])
})

test('SHOW OPERATIONS has the newest first, with its step while it runs', () => {
  const router = new TestRouter()
  router.operationRecords = [
    testOperation(),
    testOperation({ id: 2, state: 'running', step: 'stop alpha', done: 2, endedAt: 0 }),
  ]
  const [newest, oldest] = recordsOf(showOperations, router)
  assert.deepEqual(newest, {
    id: 2,
    operation: 'RESTART alpha',
    state: 'running',
    done: 2,
    steps: 5,
    step: 'stop alpha',
    started: '2026-01-01 00:00:00 UTC',
    ended: null,
    held_ms: 120,
    detail: null,
  })
  assert.deepEqual([oldest?.id, oldest?.step, oldest?.ended], [1, null, '2026-01-01 00:00:01 UTC'])
})
