import assert from 'node:assert/strict'
import { test } from 'node:test'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'

const directory = temporaryDirectory()
const bed = await Testbed.open({
  routerOnly: true,
  settings: {
    pool: { size: 2 },
    listen: { unix_socket_directory: directory },
    auth: {
      hba: [
        { type: 'local', method: 'trust' },
        { type: 'host', address: '127.0.0.1', method: 'trust' },
      ],
    },
  },
})

const goodbyes: readonly (readonly [string, (client: WireClient) => void])[] = [
  ['says goodbye', (client) => client.send(wire.terminate())],
  ['closes its direction', (client) => client.endWriting()],
]

/** What a client asks for all at once, and how many ReadyForQuery answer it. */
const requests: readonly (readonly [Buffer, number])[] = [
  [Buffer.concat([wire.close('P', 'none'), wire.sync()]), 1],
  [wire.query('SELECT 1'), 1],
  [Buffer.concat([wire.parse('p', 'SELECT 1'), wire.bind('', 'p'), wire.execute(''), wire.sync()]), 1],
  [Buffer.concat([wire.query("SET application_name = 'x'"), wire.query('SELECT 1/0'), wire.query('RESET ALL')]), 3],
  [Buffer.concat([wire.query('CREATE TEMP TABLE t (x text)'), wire.query('COPY t FROM STDIN'), wire.copyDone()]), 2],
  [Buffer.concat(Array.from({ length: 90 }, () => Buffer.concat([wire.parse('', 'SELECT 1'), wire.sync()]))), 90],
]

test('whoever leaves right behind a request gets the answer, while server connections come and go', async () => {
  const visits = async (lane: number): Promise<void> => {
    for (let n = 0; n < 60; n += 1) {
      if (lane === 0) await bed.console.query(`RECONNECT ${bed.database}`)
      const [, leave] = goodbyes[(lane + n) % goodbyes.length]!
      const [request, answers] = requests[(n * 5 + lane) % requests.length]!
      const parameters = lane % 3 === 0 ? { options: '-c work_mem=9MB' } : {}
      const client = await bed.open({ parameters })
      client.send(request)
      leave(client)
      const { messages } = await client.untilClosed()
      assert.equal(messages.filter(({ type }) => type === 'Z').length, answers, messages.join(' '))
    }
  }
  await Promise.all(Array.from({ length: 12 }, (_, lane) => visits(lane)))
})

/** Through the Unix socket, whose buffers do not grow. */
async function openLocally(application: string): Promise<WireClient> {
  const login = { user: bed.role.user, database: bed.database, parameters: { application_name: application } }
  return bed.onClose(await WireClient.open({ host: directory, port: bed.router.port }, login), (one) => one.close())
}

/** Resolves when the router can do nothing more for a client that does not read; says how much it has sent. */
async function stuck(application: string): Promise<number> {
  let [sent, seen] = [-1, 0]
  await waitUntil('nothing more to be sent', async () => {
    const row = (await bed.show('CLIENTS')).find((client) => client.application_name === application)
    if (row === undefined) return true
    const now = Number(row.bytes_sent)
    seen = now === sent ? seen + 1 : 0
    sent = now
    return sent > 10_000 && seen >= 5
  })
  return sent
}

function ask(client: WireClient, rows: number): void {
  client.stopReading()
  client.send(wire.query(`SELECT repeat('x', 1000) FROM generate_series(1, ${rows})`))
}

for (const [how, leave] of goodbyes) {
  test(`a client that ${how} behind an answer which it reads late gets all of it`, async () => {
    const first = await openLocally('measured')
    ask(first, 10_000)
    const capacity = Math.floor((await stuck('measured')) / 1000)
    first.close()
    for (let more = -10; more <= 110; more += 20) {
      const client = await openLocally(`late ${more}`)
      const rows = capacity + more
      ask(client, rows)
      leave(client)
      await stuck(`late ${more}`)
      client.readAgain()
      const { messages } = await client.untilClosed()
      assert.equal(messages.filter(({ type }) => type === 'D').length, rows)
      assert.equal(messages.findLast(({ type }) => type !== 'S')?.type, 'Z')
    }
  })
}
