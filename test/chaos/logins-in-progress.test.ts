import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { CertificateAuthority, writeCredentials } from '../support/certificates.ts'
import { CRASH_POINTS, type CrashPoint, crashAt, untilCrashed } from '../support/crash-points.ts'
import { killPlane } from '../support/plane-killer.ts'
import type { RouterProcess } from '../support/router-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { Testbed } from '../support/testbed.ts'
import { repeats } from '../support/thoroughness.ts'
import { waitUntil } from '../support/wait-until.ts'
import { sendCancel, WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

const authority = new CertificateAuthority('routers')
const credentials = writeCredentials(
  temporaryDirectory(),
  'server',
  authority.issue({ commonName: 'localhost', names: ['localhost', '127.0.0.1'] }),
)
const CLIENT_TLS = { mode: 'allow', certificate: credentials.certificate, key: credentials.key }
const bed = await Testbed.open({ routerOnly: true, start: false })

const hba = (method: string) => ({
  client_tls: CLIENT_TLS,
  auth: {
    hba: [
      { type: 'host', user: bed.role.user, address: '127.0.0.1', method },
      { type: 'host', method: 'scram-sha-256' },
    ],
  },
})

async function connect(router: RouterProcess, isSecure: boolean): Promise<WireClient> {
  const client = bed.onClose(await WireClient.connect(router), (one) => one.close())
  if (isSecure) await client.requestTls({})
  return client
}

for (const isSecure of [false, true]) {
  test(`a login goes on after a crash, wherever it was (${isSecure ? 'TLS' : 'plain'})`, async () => {
    const router = await bed.startRouter(hba('password'))
    const { user, database, password = '' } = bed.login
    const startup = wire.startup({ user, database, application_name: 'logging in' })
    const [silent, half, asked] = await Promise.all([1, 2, 3].map(() => connect(router, isSecure)))
    assert.ok(silent && half && asked)
    half.send(startup.subarray(0, 9))
    asked.send(startup)
    assert.equal((await asked.next()).body.readInt32BE(0), 3)
    await killPlane(router)
    silent.send(startup)
    half.send(startup.subarray(9))
    for (const client of [silent, half]) assert.equal((await client.next()).body.readInt32BE(0), 3)
    await killPlane(router)
    for (const client of [silent, half, asked]) {
      client.send(wire.password(password))
      await client.until('Z')
      assert.equal(onlyValue(await client.query('SHOW application_name')), 'logging in')
    }
  })
}

/** The first write in two parts, with `pause` between them. */
function inParts(bare: Socket, cut: number, pause: () => Promise<void>): Duplex {
  let isFirst = true
  const duplex = new Duplex({
    read: () => bare.resume(),
    write: (chunk: Buffer, _, done) => {
      const rest = isFirst ? chunk.subarray(cut) : chunk
      const isCut = isFirst
      isFirst = false
      if (!isCut) bare.write(rest, done)
      else bare.write(chunk.subarray(0, cut), () => pause().then(() => bare.write(rest, done), done))
    },
  })
  bare.on('data', (chunk) => duplex.push(chunk)).on('end', () => duplex.push(null))
  return duplex
}

test('a TLS handshake goes on after a crash, until it is answered', async () => {
  const router = await bed.startRouter(hba('password'))
  const other = await connect(router, false)
  await other.login(bed.login)
  const cases = [0, 3, 100].flatMap((cut) => [true, false].map((isAsked) => ({ cut, isAsked })))
  const crashed = Promise.withResolvers<void>()
  let waiting = 0
  const pause = (): Promise<void> => {
    waiting += 1
    return crashed.promise
  }
  const logins = cases.map(async ({ cut, isAsked }) => {
    const client = await connect(router, false)
    if (isAsked) {
      client.send(wire.SSL_REQUEST)
      assert.equal((await client.raw(1)).toString(), 'S')
    }
    await client.startTls(isAsked ? {} : { ALPNProtocols: ['postgresql'] }, (bare) => inParts(bare, cut, pause))
    await client.login(bed.login)
    assert.equal(onlyValue(await client.query('SELECT 1')), '1')
  })
  await Promise.race([Promise.all(logins), waitUntil('all of them', () => waiting === cases.length)])
  // What was sent before this was has been read.
  await other.query('SELECT 1')
  await killPlane(router)
  crashed.resolve()
  await Promise.all(logins)
})

for (const [at, every] of [29, 9, 7, 11, 9].entries()) {
  const crash = { ...(CRASH_POINTS[at] as CrashPoint), every }
  test(`each plane dies at its ${crash.every}th "${crash.point}": every client gets in, with SCRAM`, async () => {
    const router = await bed.startRouter(hba('scram-sha-256'), crashAt(crash))
    let isOver = false
    const lanes = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const client = await WireClient.open(router, bed.login)
        assert.equal(onlyValue(await client.query('SELECT 1')), '1')
        client.close()
      }
    })
    await untilCrashed(router, repeats(3))
    isOver = true
    await Promise.all(lanes)
  })
}

test('one cancel request is enough, wherever the plane dies', async () => {
  const router = await bed.startRouter(hba('trust'), { env: { SWITCHYARD_CRASH: 'committed:7' } })
  const client = await connect(router, false)
  await client.login(bed.login)
  for (let round = 0; round < repeats(3); round += 1) {
    client.send(wire.query('SELECT count(*) FROM pg_sleep(60)'))
    await waitUntil('the query to run', async () =>
      (await bed.cluster.backends(bed.database)).some(({ state }) => state === 'active'),
    )
    await sendCancel(router, client.cancelPid, client.cancelKey)
    assert.deepEqual(sqlstatesOf(await client.until('Z', 20_000)), ['57014'])
  }
})
