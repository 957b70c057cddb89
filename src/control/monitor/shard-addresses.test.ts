import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ShardAddresses } from './shard-addresses.ts'

/** Answers in turn; the last one repeats. A string is an error. */
function resolver(...answers: readonly (readonly string[] | string)[]) {
  const asked: string[] = []
  const resolve = async (host: string): Promise<readonly string[]> => {
    const answer = answers[Math.min(asked.length, answers.length - 1)] ?? []
    asked.push(host)
    if (typeof answer === 'string') throw new Error(answer)
    return answer
  }
  return { asked, resolve }
}

test('numeric addresses and socket directories need no resolver', async () => {
  const { asked, resolve } = resolver()
  const numeric = new ShardAddresses('2001:db8::1', 5432, resolve)
  const socket = new ShardAddresses('/run/postgresql', 5433, resolve)
  assert.equal(await numeric.refresh(0), null)
  assert.equal(await socket.refresh(0), null)
  assert.deepEqual([numeric.current, socket.current], ['2001:db8::1', '/run/postgresql/.s.PGSQL.5433'])
  assert.deepEqual(asked, [])
})

test('a name is resolved once a minute, and keeps its last address while that fails', async () => {
  const { asked, resolve } = resolver(['10.0.0.1'], 'no such host', ['10.0.0.2'])
  const addresses = new ShardAddresses('db1', 5432, resolve)
  assert.equal(addresses.current, null)
  await addresses.refresh(0)
  await addresses.refresh(59_999)
  assert.equal(asked.length, 1)
  assert.match((await addresses.refresh(60_000)) ?? '', /db1 cannot be resolved \(no such host\)/)
  assert.equal(addresses.current, '10.0.0.1')
  await addresses.refresh(120_000)
  assert.equal(addresses.current, '10.0.0.2')
})

test('a name that was never resolved is tried at every probe', async () => {
  const { asked, resolve } = resolver('no such host', ['10.0.0.1'])
  const addresses = new ShardAddresses('db1', 5432, resolve)
  await addresses.refresh(0)
  await addresses.refresh(1000)
  assert.equal(asked.length, 2)
  assert.equal(addresses.current, '10.0.0.1')
})

test('the next address is used when one fails, and a new answer does not leave one that works', async () => {
  const { resolve } = resolver(['10.0.0.1', '10.0.0.2'], ['10.0.0.3', '10.0.0.2'])
  const addresses = new ShardAddresses('db1', 5432, resolve)
  await addresses.refresh(0)
  addresses.tryNext()
  assert.equal(addresses.current, '10.0.0.2')
  await addresses.refresh(60_000)
  assert.equal(addresses.current, '10.0.0.2')
  addresses.tryNext()
  assert.equal(addresses.current, '10.0.0.3')
})
