import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDirect, Testbed } from '../support/testbed.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, rowsOf, sqlstatesOf } from '../support/wire-message.ts'
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

test('a Parse of the name of PREPARE, once or more in one part of a pipeline, leaves that statement', async () => {
  const parses = [wire.parse('taken', 'SELECT 2'), wire.parse('taken', 'SELECT 3')]
  const client = await bed.open()
  await client.query('PREPARE taken AS SELECT 1')
  for (const part of [parses.slice(1), parses, [...parses, ...parses]]) {
    assert.deepEqual(sqlstatesOf(await client.exchange(Buffer.concat([...part, wire.sync()]))), ['42P05'])
    assert.equal(onlyValue(await client.query('EXECUTE taken')), '1')
  }
  await client.query('DEALLOCATE taken')
  await prepare(client, 'taken', 'SELECT 4')
  assert.equal(onlyValue(await client.exchange(run('taken'))), '4')
})

test('what a refused Parse was to leave behind a name is closed later, when its closing was skipped', async () => {
  const client = await bed.open()
  await prepare(client, 'twice', 'SELECT 1')
  const duplicate = Buffer.concat([wire.parse('twice', 'SELECT 2'), wire.sync()])
  assert.deepEqual(sqlstatesOf(await client.exchange(duplicate)), ['42P05'])
  const failing = wire.bind('', 'not there')
  assert.deepEqual(
    sqlstatesOf(await client.exchange(Buffer.concat([failing, wire.close('S', 'twice'), wire.sync()]))),
    ['26000'],
  )
  assert.equal(onlyValue(await client.exchange(run('twice'))), '1')
  await client.exchange(Buffer.concat([wire.close('S', 'twice'), wire.sync()]))
  assert.deepEqual(sqlstatesOf(await client.exchange(run('twice'))), ['26000'])
})

test('what drops statements in SQL counts from there on in the pipeline, with an error before it too', async () => {
  const client = await bed.open()
  for (const drop of ['DEALLOCATE one', 'DEALLOCATE ALL', 'DISCARD ALL']) {
    for (const before of ['SELECT 1', 'SELECT 1/0']) {
      await prepare(client, 'one', 'SELECT 1')
      const queries = [before, drop, 'PREPARE one AS SELECT 2', 'EXECUTE one', 'DEALLOCATE one'].map((sql) =>
        wire.query(sql),
      )
      const last = Buffer.concat([wire.parse('one', 'SELECT 3'), run('one')])
      const answer = await client.exchange(Buffer.concat([...queries, last, wire.query('DEALLOCATE one')]), 7)
      const errors = before === 'SELECT 1' ? [] : ['22012']
      assert.deepEqual(sqlstatesOf(answer), errors, `${drop} behind ${before}`)
      assert.deepEqual(
        rowsOf(answer)
          .flat()
          .slice(errors.length === 0 ? 1 : 0),
        ['2', '3'],
      )
    }
  }
})

test('a PREPARE that EXECUTE executes finds names of the protocol taken', async () => {
  const client = await bed.open()
  await prepare(client, 'one', 'PREPARE two AS SELECT 2')
  await prepare(client, 'itself', 'PREPARE itself AS SELECT 1')
  assert.deepEqual(sqlstatesOf(await client.query('EXECUTE itself')), ['42P05'])
  assert.deepEqual(sqlstatesOf(await client.query('EXECUTE one')), [])
  assert.deepEqual(sqlstatesOf(await client.query('EXECUTE one')), ['42P05'])
  assert.equal(onlyValue(await client.query('EXECUTE two')), '2')
  await client.query('DEALLOCATE two')
  await prepare(client, 'two', 'SELECT 3')
  assert.deepEqual(sqlstatesOf(await client.query('EXECUTE one')), ['42P05'])
  assert.equal(onlyValue(await client.exchange(run('two'))), '3')
})

test('a statement whose Parse is skipped under one name is there under another', async () => {
  const client = await bed.open()
  const skipped = Buffer.concat([wire.bind('', 'not there'), wire.parse('one', 'SELECT 7'), wire.sync()])
  const same = Buffer.concat([wire.parse('other', 'SELECT 7'), wire.sync()])
  assert.deepEqual(sqlstatesOf(await client.exchange(Buffer.concat([skipped, same, run('other')]), 3)), ['26000'])
  assert.equal(onlyValue(await client.exchange(run('other'))), '7')
})

test('several statements dropped in one pipeline are all dropped', async () => {
  const client = await bed.open()
  for (const name of ['one', 'two']) await prepare(client, name, 'SELECT 1')
  const drops = ['one', 'two'].map((name) => wire.query(`DEALLOCATE ${name}`))
  const parses = ['one', 'two'].map((name) => Buffer.concat([wire.parse(name, 'SELECT 2'), run(name)]))
  const answer = await client.exchange(Buffer.concat([...drops, ...parses]), 4)
  assert.deepEqual(sqlstatesOf(answer), [])
  assert.deepEqual(rowsOf(answer).flat(), ['2', '2'])
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
