import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { FdChannel } from '../io/fd-channel.ts'
import { CLIENT, CLIENT_STATE, CLIENT_TEXT } from '../memory/client-slots.ts'
import { regionsOf } from '../memory/layout.ts'
import { PLANE } from '../memory/plane-records.ts'
import type { Region } from '../memory/region.ts'
import { SERVER, SERVER_STATE, SERVER_TEXT } from '../memory/server-slots.ts'
import { formatSharedState } from '../memory/shared-state.ts'
import { slotMark } from '../memory/slot-mark.ts'
import { ClientTable } from './client-table.ts'
import { CrashRecord } from './crash-record.ts'
import { ServerTable } from './server-table.ts'
import type { Ending } from './supervised-child.ts'

const GEOMETRY = {
  clientSlots: 4,
  ordinaryClientSlots: 4,
  serverSlots: 4,
  poolRecords: 1,
  planes: 2,
  arenaBytesPerPlane: 0,
}
const WORDS = 256
const PLANE_WORDS = 1024
const crashed: Ending = { description: 'was killed by SIGSEGV', isCrash: true }

/** A client in slot 0 and a server connection in slot 3, both of plane 1, and what is logged. */
function open(t: TestContext) {
  const shared = formatSharedState(new ArrayBuffer(regionsOf(GEOMETRY).totalBytes), GEOMETRY, 0)
  const clients = new ClientTable(shared.clients, 4)
  const servers = new ServerTable(shared.servers)
  const [[client, clientPeer], [server, serverPeer]] = [FdChannel.pair(), FdChannel.pair()]
  clients.hold(client, 1)
  shared.clients.i32[CLIENT.state] = CLIENT_STATE.active
  shared.clients.writeText(0, CLIENT_TEXT.user.offset, CLIENT_TEXT.user.capacity, 'ada')
  servers.put({ slot: 3, generation: 5 }, server, 1)
  shared.servers.i32[3 * WORDS + SERVER.state] = SERVER_STATE.active
  shared.servers.i32[3 * WORDS + SERVER.generation] = 5
  shared.servers.writeText(3, SERVER_TEXT.address.offset, SERVER_TEXT.address.capacity, 'db1')
  const lines: Record<string, unknown>[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) })
  let now = 0
  const crashes = new CrashRecord({ shared, clients, servers, log, now: () => now })
  t.after(() => {
    clients.releaseAllOf(1)
    servers.releaseAllOf(1)
    clientPeer.close()
    serverPeer.close()
  })
  const mark = (region: Region, slot: number): void => {
    shared.planes.i32[PLANE_WORDS + PLANE.slotInProgress] = slotMark(region, slot)
  }
  const crash = (ending: Ending = crashed): void => {
    now += 1_000
    crashes.examine(1, ending)
  }
  return { shared, clients, servers, lines, mark, crash }
}

test('a client that a plane crashes with is named, and at the second time ended', (t) => {
  const { shared, clients, lines, mark, crash } = open(t)
  mark(shared.clients, 0)
  crash()
  assert.equal(clients.count, 1)
  mark(shared.clients, 0)
  crash()
  assert.equal(clients.count, 0)
  assert.deepEqual(
    lines.map(({ msg, user, plane }) => [msg, user, plane]),
    [
      ['plane 1 crashed while it served this client', 'ada', 1],
      ['plane 1 crashed twice while it served one client, which is closed now', 'ada', 1],
    ],
  )
})

test('so is a server connection', (t) => {
  const { shared, clients, servers, lines, mark, crash } = open(t)
  for (let round = 0; round < 2; round++) {
    mark(shared.servers, 3)
    crash()
  }
  assert.deepEqual([clients.count, servers.count], [1, 0])
  assert.equal(lines[1]?.address, 'db1')
})

test('a mark is good for one death: what the next plane does not mark is nobody’s fault', (t) => {
  const { shared, clients, lines, mark, crash } = open(t)
  mark(shared.clients, 0)
  crash()
  crash()
  assert.equal(clients.count, 1)
  assert.equal(lines.length, 1)
})

test('a plane that somebody killed says nothing about whom it served', (t) => {
  const { shared, clients, lines, mark, crash } = open(t)
  for (let round = 0; round < 3; round++) {
    mark(shared.clients, 0)
    crash({ description: 'was killed by SIGKILL', isCrash: false })
  }
  assert.equal(clients.count, 1)
  assert.deepEqual(lines, [])
})
