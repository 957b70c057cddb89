import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDirect, Testbed } from '../support/testbed.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'
import { prepare, run } from '../support/wire-statements.ts'

/** One server connection that every client has in turn, so that who was there before is known. */
const bed = await Testbed.open({ settings: { pool: { size: 1 } } })

test('a Parse that was skipped behind an error did not happen', async () => {
  const client = await bed.open()
  const answer = await client.exchange(
    Buffer.concat([
      wire.parse('', 'SELECT 1/0'),
      wire.bind('', ''),
      wire.execute(''),
      wire.parse('skipped', 'SELECT 1'),
      wire.sync(),
    ]),
  )
  assert.deepEqual(sqlstatesOf(answer), ['22012'])
  assert.deepEqual(sqlstatesOf(await client.exchange(run('skipped'))), ['26000'])
  await prepare(client, 'skipped', 'SELECT 5')
  assert.equal(onlyValue(await client.exchange(run('skipped'))), '5')
})

test('a Close that was skipped behind an error did not happen', async () => {
  const client = await bed.open()
  await prepare(client, 'kept', 'SELECT 6')
  const answer = await client.exchange(
    Buffer.concat([
      wire.parse('', 'SELECT 1/0'),
      wire.bind('', ''),
      wire.execute(''),
      wire.close('S', 'kept'),
      wire.sync(),
    ]),
  )
  assert.deepEqual(sqlstatesOf(answer), ['22012'])
  assert.equal(onlyValue(await client.exchange(run('kept'))), '6')
})

test('a Parse and a Close of one name that were both skipped did not happen, in either order', async () => {
  const client = await bed.open()
  const failing = wire.bind('', 'not there')
  await client.exchange(Buffer.concat([failing, wire.parse('both', 'SELECT 1'), wire.close('S', 'both'), wire.sync()]))
  assert.deepEqual(sqlstatesOf(await client.exchange(run('both'))), ['26000'])
  await prepare(client, 'both', 'SELECT 1')
  await client.exchange(Buffer.concat([failing, wire.close('S', 'both'), wire.parse('both', 'SELECT 2'), wire.sync()]))
  assert.equal(onlyValue(await client.exchange(run('both'))), '1')
})

test('a name whose Parse is skipped in one part of a pipeline is free in the next', async () => {
  const client = await bed.open()
  const skipped = [wire.bind('', 'not there'), wire.parse('again', 'SELECT 1'), wire.sync()]
  const answer = await client.exchange(Buffer.concat([...skipped, wire.parse('again', 'SELECT 2'), run('again')]), 2)
  assert.deepEqual(sqlstatesOf(answer), ['26000'])
  assert.equal(onlyValue(answer), '2')
})

/** The first part fails at once, so that the rest of it is skipped; all parts are sent before any is answered. */
async function sendParts(client: WireClient, ...parts: readonly (readonly Buffer[])[]) {
  const broken = wire.bind('', 'none such')
  client.send(Buffer.concat([broken, ...parts.flatMap((part) => [...part, wire.sync()])]))
  const answers = []
  for (const _ of parts) answers.push(await client.until('Z'))
  return answers
}

const READ = [wire.bind('', ''), wire.execute('')]

test('a statement that an error kept from a new server connection is there in the next part of the pipeline', async () => {
  const client = await bed.open()
  await prepare(client, 'p', 'SELECT 7')
  for (const second of [[wire.describe('S', 'p')], [wire.bind('', 'p'), wire.execute('')], [wire.query('EXECUTE p')]]) {
    if (!isDirect) await bed.console.query('RECONNECT')
    const isQuery = second[0]?.[0] === 0x51
    const broken = [wire.bind('', 'none such'), wire.bind('', 'p'), wire.sync()]
    client.send(Buffer.concat([...broken, ...second, ...(isQuery ? [] : [wire.sync()])]))
    assert.deepEqual(sqlstatesOf(await client.until('Z')), ['26000'])
    assert.deepEqual(sqlstatesOf(await client.until('Z')), [])
  }
})

test('a statement of a text that others have, too, is not there when its Parse was skipped', async () => {
  const [client, other] = await bed.openMany(2)
  await prepare(other!, 'theirs', 'SELECT 8')
  const answers = await sendParts(
    client!,
    [wire.parse('mine', 'SELECT 8')],
    [wire.bind('', 'mine'), wire.execute('')],
    [wire.describe('S', 'mine')],
  )
  assert.deepEqual(answers.map(sqlstatesOf), [['26000'], ['26000'], ['26000']])
})

test('nobody gets at the unnamed statement that another client has left behind', async () => {
  const [client, other] = await bed.openMany(2)
  const leave = () => other!.exchange(Buffer.concat([wire.parse('', "SELECT 'secret'"), wire.sync()]))
  for (const skipped of [
    READ,
    [wire.parse('', 'SELECT 1')],
    [wire.close('S', '')],
    [wire.query('SELECT 1')],
    [wire.parse('', 'SELECT 1'), wire.close('S', ''), ...READ],
  ]) {
    await leave()
    const answers = await sendParts(client!, skipped, READ)
    assert.deepEqual(answers.map(sqlstatesOf), [['26000'], ['26000']])
    assert.deepEqual(sqlstatesOf(await client!.exchange(Buffer.concat([...READ, wire.sync()]))), ['26000'])
  }
})

test('the unnamed statement outlives what an error has skipped', async () => {
  const client = await bed.open()
  await client.exchange(Buffer.concat([wire.parse('', "SELECT 'mine'"), wire.sync()]))
  for (const skipped of [[wire.parse('', 'SELECT 1')], [wire.close('S', '')], [wire.query('SELECT 1')]]) {
    const answers = await sendParts(client, skipped, READ)
    assert.equal(onlyValue(answers[1]!), 'mine')
  }
})
