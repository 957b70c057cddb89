import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { residentBytes } from '../support/process-usage.ts'
import { isDirect, Testbed } from '../support/testbed.ts'
import { isFull } from '../support/thoroughness.ts'
import { waitUntil, within } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

const MEGABYTE = 1 << 20
/** What a plane may gain while it passes on far more than that. */
const MEMORY_BOUND_BYTES = 48 * MEGABYTE
const SLOW_MS = 120_000
/** PostgreSQL takes 3 GB of memory and some seconds for the longest value that it can make. */
const PATTERN = '0123456789abcdef'
const ROW_BYTES = isFull ? 1024 * MEGABYTE - PATTERN.length : 256 * MEGABYTE

const bed = await Testbed.open()

/** Runs `work` and returns how much the planes' memory grew at most while it ran. */
async function growthDuring(work: () => Promise<unknown>): Promise<number> {
  if (isDirect) {
    await work()
    return 0
  }
  const { planes } = bed.router.pids
  const resident = (): number => planes.reduce((sum, pid) => sum + residentBytes(pid), 0)
  const before = resident()
  let most = before
  const watch = setInterval(() => {
    most = Math.max(most, resident())
  }, 20)
  try {
    await work()
    return Math.max(most, resident()) - before
  } finally {
    clearInterval(watch)
  }
}

async function pidOf(client: WireClient): Promise<string | null> {
  return onlyValue(await client.query('SELECT pg_backend_pid()'))
}

/** MD5 of a DataRow with one value: the pattern, over and over. */
function digestOfRow(bytes: number): string {
  const head = Buffer.alloc(6)
  head.writeInt16BE(1, 0)
  head.writeInt32BE(bytes, 2)
  const digest = createHash('md5').update(head)
  const piece = Buffer.from(PATTERN.repeat(65_536))
  for (let left = bytes; left > 0; left -= piece.length) digest.update(piece.subarray(0, left))
  return digest.digest('hex')
}

test(`a row of ${ROW_BYTES} bytes streams through in bounded memory and arrives byte for byte`, async () => {
  const client = await bed.open()
  let digest = ''
  const growth = await growthDuring(async () => {
    client.send(wire.query(`SELECT repeat('${PATTERN}', ${ROW_BYTES / PATTERN.length})`))
    await client.until('T', SLOW_MS)
    client.digest = createHash('md5')
    const row = await client.next(SLOW_MS)
    assert.equal(row.bodyBytes, ROW_BYTES + 6)
    digest = client.digest.digest('hex')
    client.digest = null
    await client.until('Z', SLOW_MS)
  })
  assert.equal(digest, digestOfRow(ROW_BYTES))
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
  assert.ok(growth < MEMORY_BOUND_BYTES, `the plane grew by ${growth >> 20} MB`)
})

test('a gigabyte of COPY streams out in bounded memory, and every byte is right', async () => {
  const client = await bed.open()
  const rows = 8_192
  const row = `${'0123456789abcdef'.repeat(8_192)}\n`
  const expected = createHash('md5')
  for (let n = 0; n < rows; n += 1) expected.update(row)
  let md5 = ''
  const growth = await growthDuring(async () => {
    client.send(wire.query(`COPY (SELECT repeat('0123456789abcdef', 8192) FROM generate_series(1, ${rows})) TO STDOUT`))
    await client.until('H', SLOW_MS)
    const digest = createHash('md5')
    client.digest = digest
    let message = await client.next(SLOW_MS)
    while (message.type === 'd') message = await client.next(SLOW_MS)
    client.digest = null
    assert.equal(message.type, 'c')
    md5 = digest.digest('hex')
    await client.until('Z')
  })
  assert.equal(md5, expected.digest('hex'))
  assert.ok(growth < MEMORY_BOUND_BYTES, `the plane grew by ${growth >> 20} MB`)
})

test('a gigabyte of COPY streams in, in bounded memory', async () => {
  const client = await bed.open()
  await client.query('CREATE UNLOGGED TABLE poured (x text)')
  const [kept, spilt] = ['k', 's'].map((letter) => wire.copyData(`${letter.repeat(MEGABYTE - 1)}\n`))
  const growth = await growthDuring(async () => {
    // The disk is not what this is about.
    client.send(wire.query(`COPY poured FROM STDIN WHERE starts_with(x, 'k')`))
    await client.until('G')
    for (let n = 0; n < 1024; n += 1) await client.sent(n % 64 === 0 ? kept! : spilt!)
    client.send(wire.copyDone())
    assert.equal((await client.until('C', SLOW_MS))[0]?.strings[0], 'COPY 16')
    await client.until('Z')
  })
  assert.equal(onlyValue(await client.query('SELECT sum(length(x)) FROM poured')), String(16 * (MEGABYTE - 1)))
  assert.ok(growth < MEMORY_BOUND_BYTES, `the plane grew by ${growth >> 20} MB`)
})

test('a query text of 64 MB streams in, in bounded memory', async () => {
  const client = await bed.open()
  const growth = await growthDuring(async () => {
    client.send(wire.query(`SELECT length('${'z'.repeat(64 * MEGABYTE)}')`))
    assert.equal(onlyValue(await client.until('Z', SLOW_MS)), String(64 * MEGABYTE))
  })
  const pinned = (await bed.show('CLIENTS')).map((row) => row.pinned)
  assert.ok(
    pinned.every((reasons) => reasons === '' || reasons === 'console' || reasons === null),
    `pinned: ${pinned}`,
  )
  assert.ok(growth < MEMORY_BOUND_BYTES, `the plane grew by ${growth >> 20} MB`)
})

test('a client that stops reading costs a bounded buffer, delays nobody, and gets everything in the end', async () => {
  const stalled = await bed.open()
  const others = await bed.openMany(3)
  stalled.send(wire.query(`SELECT repeat('s', 65536) FROM generate_series(1, 3000)`))
  await stalled.until('T')
  stalled.stopReading()
  const growth = await growthDuring(async () => {
    for (let round = 0; round < 50; round += 1) {
      const answers = await within(
        5_000,
        'clients that read',
        Promise.all(others.map((other) => other.query('SELECT 1'))),
      )
      for (const answer of answers) assert.equal(onlyValue(answer), '1')
    }
  })
  assert.ok(growth < MEMORY_BOUND_BYTES, `the plane grew by ${growth >> 20} MB`)
  stalled.readAgain()
  const answer = await stalled.until('Z', SLOW_MS)
  assert.equal(answer.filter((message) => message.type === 'D').length, 3_000)
})

test('a client that stops reading and then vanishes gives its server connection back', async () => {
  const stalled = await bed.open()
  const pid = await pidOf(stalled)
  stalled.send(wire.query(`SELECT repeat('s', 65536) FROM generate_series(1, 100000)`))
  await stalled.until('T')
  stalled.stopReading()
  await waitUntil('the backend to wait for its client', async () => {
    const [backend] = await bed.sql(`SELECT wait_event FROM pg_stat_activity WHERE pid = $1`, [pid])
    return backend?.wait_event === 'ClientWrite'
  })
  stalled.reset()
  await waitUntil('the query to end', async () => {
    const running = await bed.sql(
      `SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND state = 'active' AND pid <> pg_backend_pid()`,
      [bed.database],
    )
    return running.length === 0
  })
})

test('a server that does not read makes the client wait, not the router grow', async () => {
  const holder = await bed.open()
  const sender = await bed.open()
  await holder.query('CREATE TABLE locked (x text)')
  await holder.query('BEGIN; LOCK TABLE locked IN ACCESS EXCLUSIVE MODE')
  sender.send(wire.query(`INSERT INTO locked VALUES ('first')`))
  // The backend waits for the lock and reads nothing: what follows has to stop at the client.
  const rest = Buffer.concat(Array.from({ length: 64 }, () => wire.query(`SELECT length('${'w'.repeat(MEGABYTE)}')`)))
  let taken = false
  const sending = sender.sent(rest).then(() => {
    taken = true
  })
  const growth = await growthDuring(async () => {
    for (let round = 0; round < 30; round += 1) assert.equal(onlyValue(await holder.query('SELECT 1')), '1')
  })
  assert.equal(taken, false, '64 MB were taken although the server reads nothing')
  assert.ok(growth < MEMORY_BOUND_BYTES, `the plane grew by ${growth >> 20} MB`)
  await holder.query('COMMIT')
  await sending
  for (let answers = 0; answers < 65; answers += 1) assert.deepEqual(sqlstatesOf(await sender.until('Z')), [])
})

test('a client that sends a long pipeline before it reads anything is served without a standstill', async () => {
  const client = await bed.open()
  const count = 2_000
  client.stopReading()
  const frames = Array.from({ length: count }, (_, n) => wire.query(`SELECT ${n}, repeat('p', 2000)`))
  const sending = client.sent(Buffer.concat(frames))
  await new Promise((resolve) => setTimeout(resolve, 200))
  client.readAgain()
  for (let n = 0; n < count; n += 1) await client.until('Z', SLOW_MS)
  await sending
})
