import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CLIENT_SECTIONS, CLIENT_STEP } from '../memory/client-slots.ts'
import { heldSection, SECTION } from '../memory/slot-section.ts'
import { writeQuery } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { TestBackend } from '../server/shard-peer.fixture.ts'
import { openPlane, TestPlane } from './plane.fixture.ts'

const CLIENTS = 4

/** The queries of one client, as it sends them: `SELECT client.number`, some of them long. */
function stream(client: number, lengths: readonly number[]): { readonly bytes: Buffer; readonly queries: string[] } {
  const queries = lengths.map((length, number) => `SELECT ${client}.${number} ${'x'.repeat(length)}`)
  const parts = queries.map((sql) => {
    const writer = new MessageWriter()
    writeQuery(writer, sql)
    return Buffer.from(writer.bytes)
  })
  return { bytes: Buffer.concat(parts), queries }
}

const lengths = fc.array(fc.oneof(fc.nat(40), fc.nat(9000)), { minLength: 1, maxLength: 8 })
/** Who sends how many bytes before the plane is woken; the last number says what becomes of what is read ahead then. */
const wakeUp = fc.record({
  sends: fc.array(fc.tuple(fc.nat(CLIENTS - 1), fc.oneof(fc.nat(60), fc.nat(9000))), { maxLength: 6 }),
  isKept: fc.boolean(),
})

test('what is read ahead arrives whole and in order, also where a commit comes before its event', () => {
  fc.assert(
    fc.property(fc.array(lengths, { minLength: CLIENTS, maxLength: CLIENTS }), fc.array(wakeUp), (all, wakeUps) => {
      const plane = new TestPlane({}, 2, 16)
      const asked: string[] = []
      plane.shard.onQuery = (backend) => {
        asked.push(backend.queries.at(-1) ?? '')
        backend.ready()
      }
      const { readAhead } = plane.plane
      const fetch = readAhead.fetch.bind(readAhead)
      let isKept = false
      readAhead.fetch = () => {
        fetch()
        if (isKept) readAhead.keepAll()
      }
      const streams = all.map((each, client) => stream(client, each))
      const clients = streams.map(() => plane.connect().login())
      const sent = streams.map(() => 0)
      const sendOn = (client: number, count: number): void => {
        const { bytes } = streams[client] as (typeof streams)[number]
        const from = sent[client] as number
        sent[client] = from + (clients[client]?.peer.send(bytes.subarray(from, from + count)) ?? 0)
      }
      asked.length = 0
      for (const { sends, isKept: keeps } of [...wakeUps, { sends: [], isKept: true }]) {
        isKept = keeps
        for (const [client, count] of sends) sendOn(client, count)
        plane.settle()
      }
      for (let client = 0; client < CLIENTS; client++) sendOn(client, 1e9)
      plane.settle()
      for (const [client, { queries }] of streams.entries()) {
        const ofClient = asked.filter((sql) => sql.startsWith(`SELECT ${client}.`))
        assert.deepEqual(ofClient, queries)
        assert.equal(clients[client]?.told().filter((message) => message === 'Z I').length, queries.length)
      }
      plane.close()
    }),
    { numRuns: 40 },
  )
})

test('a commit before its event writes down what was read ahead for a client, as bytes that wait and are to be used', (t) => {
  const plane = openPlane(t)
  const clients = [plane.connect().login(), plane.connect().login()]
  const { readAhead, sends, steps } = plane.plane
  const fetch = readAhead.fetch.bind(readAhead)
  const written: number[][] = []
  readAhead.fetch = () => {
    fetch()
    // Something else of this step is committed.
    steps.touchAside({ isTouched: false, touchedIn: 0, save: () => {} })
    sends.flush()
    for (const slot of [0, 1]) {
      const { i32, f64 } = plane.shared.clients
      const at = heldSection(plane.shared.clients, slot, CLIENT_SECTIONS, plane.log.committed)
      written.push([
        i32[at + SECTION.inboxBytes] as number,
        (i32[at + SECTION.flags] as number) & (CLIENT_STEP.heldBack | CLIENT_STEP.torn),
        f64[(at + SECTION.read) >> 1] as number,
      ])
    }
    readAhead.fetch = fetch
  }
  const before = [0, 1].map((slot) => plane.plane.sessions.find(slot, 1)?.link.bytesRead ?? -1)
  const writer = new MessageWriter()
  writeQuery(writer, 'SELECT 1')
  for (const { peer } of clients) peer.send(writer.bytes)
  plane.settle()
  const { length } = writer.bytes
  assert.deepEqual(
    written,
    before.map((read) => [length, CLIENT_STEP.heldBack, read + length]),
  )
  assert.deepEqual(
    clients.map((client) => client.told()),
    [['Z I'], ['Z I']],
  )
})

test('a server connection that is given more than a read can continue uses that before it reads on', (t) => {
  const plane = openPlane(t)
  let busy: TestBackend | undefined
  plane.shard.onQuery = (backend) => {
    if (backend.queries.at(-1) === 'SELECT 1') busy = backend
    else backend.ready()
  }
  const [one, two] = [plane.connect().login(), plane.connect().login()]
  one.query('SELECT 1')
  const writer = new MessageWriter()
  // A notice is kept until it is there as a whole; a row is not.
  writer.begin(0x4e).byte(0x4d).text('x'.repeat(62_000)).byte(0).end()
  writer.begin(0x44).raw(Buffer.alloc(20_000)).end()
  const answer = Buffer.from(writer.bytes)
  busy?.send(answer.subarray(0, 61_000))
  plane.settle()
  const { readAhead } = plane.plane
  const fetch = readAhead.fetch.bind(readAhead)
  readAhead.fetch = () => {
    fetch()
    readAhead.keepAll()
    busy?.send(answer.subarray(-100))
    busy?.ready()
    readAhead.fetch = fetch
  }
  busy?.send(answer.subarray(61_000, -100))
  two.query('SELECT 2')
  plane.settle()
  assert.deepEqual([one.told().map((message) => message[0]), two.told()], [['N', 'D', 'Z'], ['Z I']])
})
