import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestRouter } from '../router-control.fixture.ts'
import {
  bind,
  consoleFor,
  describe,
  errorField,
  execute,
  parse,
  query,
  RawClient,
  rowsOfMessages,
  sync,
  typesOf,
} from './console-peer.fixture.ts'

test('the extended protocol describes, executes with a row limit, and closes portals at Sync', async (t) => {
  const { path } = await consoleFor(t)
  const client = await RawClient.login(path)
  client.send(Buffer.concat([parse('SHOW STATE', 's'), describe('S', 's'), sync()]))
  assert.equal(typesOf(await client.until('Z')), '1tTZ')
  client.send(Buffer.concat([bind([], 'p', 's'), describe('P', 'p'), execute(4, 'p'), execute(4, 'p'), sync()]))
  assert.equal(typesOf(await client.until('Z')), '2TDDDDsDDDCZ')
  client.send(Buffer.concat([execute(0, 'p'), sync()]))
  assert.equal(errorField(await client.until('Z'), 'C'), '34000')
  client.send(Buffer.concat([bind([], '', 's'), execute(7), sync()]))
  assert.equal(typesOf(await client.until('Z')), '2DDDDDDDCZ')
})

test('inside BEGIN a portal outlives Sync', async (t) => {
  const { path } = await consoleFor(t)
  const client = await RawClient.login(path)
  await client.query('BEGIN')
  client.send(Buffer.concat([parse('SHOW STATE'), bind([], 'p'), execute(4, 'p'), sync()]))
  assert.equal(typesOf(await client.until('Z')), '12DDDDsZ')
  client.send(Buffer.concat([execute(0, 'p'), sync()]))
  assert.equal(typesOf(await client.until('Z')), 'DDDCZ')
})

test('numbers and booleans come in binary when asked, texts look the same', async (t) => {
  const router = new TestRouter()
  const { path } = await consoleFor(t, router)
  const client = await RawClient.login(path)
  client.send(Buffer.concat([parse('SHOW SHARDS'), bind([1]), describe('P'), execute(), sync()]))
  const [row] = rowsOfMessages(await client.until('Z'))
  assert.equal(row?.[0]?.readInt32BE(), 0)
  assert.equal(row?.[1]?.toString(), 'alpha')
  assert.deepEqual(row?.[4], Buffer.from([1]))
  assert.equal(row?.[15]?.readBigInt64BE(), 0n)
  client.send(Buffer.concat([parse('SHOW SHARDS'), bind(), execute(), sync()]))
  const [text] = rowsOfMessages(await client.until('Z'))
  assert.deepEqual(
    [0, 4, 15].map((column) => text?.[column]?.toString()),
    ['0', 't', '0'],
  )
})

test('after an error everything is passed over until Sync', async (t) => {
  const console = await consoleFor(t)
  const client = await RawClient.login(console.path)
  client.send(
    Buffer.concat([
      parse('NONSENSE'),
      bind(),
      execute(),
      parse('SHUTDOWN'),
      bind(),
      execute(),
      query('SHUTDOWN'),
      sync(),
    ]),
  )
  assert.equal(typesOf(await client.until('Z')), 'EZ')
  assert.deepEqual(console.router.calls, [])
})

test('mistakes in the extended protocol have the codes of PostgreSQL', async (t) => {
  const { path } = await consoleFor(t)
  const client = await RawClient.login(path)
  const parameter = Buffer.from('B\0\0\0\x0e\0\0\0\0\0\x01\0\0\0\0', 'latin1')
  for (const [bytes, sqlstate] of [
    [[bind([], '', 'missing')], '26000'],
    [[execute(0, 'missing')], '34000'],
    [[describe('P', 'missing')], '34000'],
    [[parse('SHOW VERSION; SHOW STATE')], '42601'],
    [[parse('SHOW VERSION', 'a'), parse('SHOW VERSION', 'a')], '42P05'],
    [[parse('SHOW VERSION'), bind([], 'p'), bind([], 'p')], '42P03'],
    [[parse('SHOW VERSION'), bind([0, 1, 0])], '08P01'],
    [[parse('SHOW VERSION'), bind([7])], '08P01'],
    [[parse('SHOW VERSION'), parameter], '08P01'],
    [[Buffer.from('D\0\0\0\x06x\0', 'latin1')], '08P01'],
    [[Buffer.from('E\0\0\0\x05\0', 'latin1')], '08P01'],
  ] as const) {
    client.send(Buffer.concat([...bytes, sync()]))
    assert.equal(errorField(await client.until('Z'), 'C'), sqlstate)
  }
  client.send(Buffer.from('F\0\0\0\x04', 'latin1'))
  const messages = await client.until('Z')
  assert.equal(typesOf(messages), 'EZ')
  assert.equal(errorField(messages, 'C'), '0A000')
})

test('prepared statements that are never closed run into a bound', async (t) => {
  const { path } = await consoleFor(t)
  const client = await RawClient.login(path)
  client.send(Buffer.concat([...Array.from({ length: 1001 }, (_, n) => parse('SHOW VERSION', `s${n}`)), sync()]))
  assert.equal(errorField(await client.until('Z'), 'C'), '53400')
  assert.equal(typesOf(await client.query('DISCARD ALL')), 'CZ')
  client.send(Buffer.concat([parse('SHOW VERSION', 's0'), sync()]))
  assert.equal(typesOf(await client.until('Z')), '1Z')
})
