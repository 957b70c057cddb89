import assert from 'node:assert/strict'
import { test } from 'node:test'
import { raiseOpenFileLimit } from '../../src/io/process-limits.ts'
import { residentBytes } from '../support/process-usage.ts'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import { onlyValue } from '../support/wire-message.ts'

const CLIENTS = 10_000
/** Logins at a time. */
const LANES = 50
/** Far above what a client should cost, far below what a buffer for each would. */
const BYTES_PER_CLIENT = 24_000

/** Each connection is a descriptor here, in a plane and in the keeper. */
const descriptors = raiseOpenFileLimit()
const enough = descriptors >= CLIENTS + 600
const skip =
  !enough && `${CLIENTS} clients need ${CLIENTS + 600} open files in a process, the limit here is ${descriptors}`

const bed = await Testbed.open({
  routerOnly: true,
  settings: ({ role }) => ({
    limits: { max_clients: CLIENTS + 50 },
    // Ten thousand password checks would be a test of SCRAM.
    auth: {
      hba: [
        { type: 'host', user: role.user, address: '127.0.0.1', method: 'trust' },
        { type: 'host', method: 'scram-sha-256' },
      ],
    },
  }),
})

function routerBytes(): number {
  const { keeper, planes } = bed.router.pids
  return [keeper, ...planes].reduce((total, pid) => total + residentBytes(pid), 0)
}

test(`${CLIENTS} idle clients cost little, delay nobody, and leave without a trace`, { skip }, async () => {
  const warm = await Promise.all(Array.from({ length: 200 }, () => WireClient.open(bed.router, bed.login)))
  const before = routerBytes()
  const idle: WireClient[] = []
  bed.onClose(idle, () => {
    for (const client of [...warm, ...idle]) client.close()
  })
  await Promise.all(
    Array.from({ length: LANES }, async () => {
      while (idle.length + LANES <= CLIENTS - warm.length) idle.push(await WireClient.open(bed.router, bed.login))
    }),
  )
  const count = idle.length
  assert.ok(count >= CLIENTS - warm.length - LANES, `${count} clients`)
  const perClient = (routerBytes() - before) / count
  assert.ok(perClient < BYTES_PER_CLIENT, `${Math.round(perClient)} bytes for each idle client`)

  assert.equal((await bed.pool()).cl_active, count + warm.length)
  for (let n = 0; n < 200; n += 1) {
    const client = idle[Math.floor((n / 200) * count)]!
    assert.equal(onlyValue(await client.query(`SELECT ${n}`)), String(n))
  }

  const half = idle.splice(0, count / 2)
  for (const [at, client] of half.entries()) {
    if (at % 2 === 0) client.reset()
    else client.close()
  }
  await waitUntil('the router to have let go of half of them', async () => {
    return (await bed.pool()).cl_active === idle.length + warm.length
  })
  assert.equal(onlyValue(await idle[0]!.query('SELECT 1')), '1')
})
