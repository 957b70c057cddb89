import assert from 'node:assert/strict'
import { createConnection, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { NativeBuffer, native } from '../io/native.ts'
import { Poller } from '../io/poller.ts'
import type { NewClient } from '../memory/keeper-protocol.ts'
import { CLIENT_SLOT_BYTES } from '../memory/layout.ts'
import { Region } from '../memory/region.ts'
import { ClientIntake, type ClientTaker } from './client-intake.ts'
import { openClientListeners } from './client-listeners.ts'
import { ClientTable } from './client-table.ts'
import { PollerWatch } from './poller-watch.ts'

class Taker implements ClientTaker {
  readonly index: number
  readonly taken: NewClient[] = []
  acceptsClients = true
  isBacklogged = false
  flushes = 0

  constructor(index = 0) {
    this.index = index
  }

  announce(client: NewClient): void {
    this.taken.push(client)
  }

  flush(): void {
    this.flushes++
  }
}

async function harness(t: TestContext, { slots = 8, takers = [new Taker()] } = {}) {
  const poller = new Poller(process.arch)
  const watch = new PollerWatch(poller)
  const listeners = await openClientListeners({
    addresses: ['127.0.0.1'],
    port: 0,
    unixSocketDirectory: null,
    unixSocketMode: 0o700,
    backlog: 64,
    pid: process.pid,
  })
  const region = new Region(new ArrayBuffer(slots * CLIENT_SLOT_BYTES), 0, CLIENT_SLOT_BYTES, slots)
  const clients = new ClientTable(region, slots)
  const log = pino({ level: 'silent' })
  const intake = new ClientIntake({ poller, listeners, clients, takers, log, now: () => performance.now() })
  const sockets: Socket[] = []
  const place = listeners[0]?.place
  assert.ok(place?.kind === 'tcp')
  const dial = (count: number): void => {
    for (let i = 0; i < count; i++) sockets.push(createConnection(place.port, '127.0.0.1').on('error', () => {}))
  }
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    for (const { index } of takers) clients.releaseAllOf(index)
    intake.close()
    watch.close()
    for (const listener of listeners) listener.close()
  })
  return { intake, clients, dial, sockets, port: place.port }
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000
  while (!condition()) {
    assert.ok(performance.now() < deadline, 'waited too long')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Several turns of the event loop: whatever was going to be accepted has been. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 60))

test('a client is announced with its address, its port and ours', async (t) => {
  const taker = new Taker()
  const { intake, dial, sockets, port } = await harness(t, { takers: [taker] })
  intake.look()
  dial(1)
  await until(() => taker.taken.length === 1)
  const { generation: _, ...client } = taker.taken[0] ?? { generation: 0 }
  const remotePort = sockets[0]?.localPort
  assert.deepEqual(client, { slot: 0, family: 4, remotePort, localPort: port, address: '127.0.0.1' })
  assert.ok(taker.flushes > 0)
})

test('clients wait in the kernel while no plane takes them, and come in when one does', async (t) => {
  const taker = new Taker()
  taker.acceptsClients = false
  const { intake, dial, sockets } = await harness(t, { takers: [taker] })
  intake.look()
  dial(3)
  await until(() => sockets.every(({ pending }) => !pending))
  await settle()
  assert.equal(taker.taken.length, 0)
  taker.acceptsClients = true
  intake.look()
  await until(() => taker.taken.length === 3)
})

test('more clients than slots wait until one is given back', async (t) => {
  const taker = new Taker()
  const { intake, clients, dial } = await harness(t, { slots: 4, takers: [taker] })
  intake.look()
  dial(6)
  await until(() => taker.taken.length === 4)
  await settle()
  assert.equal(taker.taken.length, 4)
  const [first] = taker.taken
  assert.ok(first)
  clients.release(first, 0)
  intake.look()
  await until(() => taker.taken.length === 5)
})

test('planes get clients in turn', async (t) => {
  const takers = [new Taker(0), new Taker(1)]
  const { intake, dial } = await harness(t, { takers })
  intake.look()
  dial(6)
  await until(() => takers.every(({ taken }) => taken.length === 3))
})

test('a backlogged plane is tried again without anybody asking', async (t) => {
  const taker = new Taker()
  taker.acceptsClients = false
  taker.isBacklogged = true
  const { intake, dial } = await harness(t, { takers: [taker] })
  intake.look()
  dial(1)
  const before = taker.flushes
  await until(() => taker.flushes >= before + 3)
  taker.acceptsClients = true
  taker.isBacklogged = false
  await until(() => taker.taken.length === 1)
})

test('without a free descriptor clients wait, nothing spins, and they come in when there is one again', async (t) => {
  const taker = new Taker()
  const { intake, dial, sockets } = await harness(t, { takers: [taker] })
  dial(2)
  await until(() => sockets.every(({ pending }) => !pending))
  const limits = NativeBuffer.allocate(16)
  native.getrlimit(7, limits.address)
  const before = limits.bytes.readBigUInt64LE(0)
  limits.bytes.writeBigUInt64LE(3n, 0)
  native.setrlimit(7, limits.address)
  const cpu = process.cpuUsage()
  const since = performance.now()
  try {
    intake.look()
    await new Promise((resolve) => setTimeout(resolve, 300))
  } finally {
    limits.bytes.writeBigUInt64LE(before, 0)
    native.setrlimit(7, limits.address)
  }
  const { user, system } = process.cpuUsage(cpu)
  assert.equal(taker.taken.length, 0)
  const share = (user + system) / 1000 / (performance.now() - since)
  assert.ok(share < 0.5, `it kept a processor busy: ${share}`)
  await until(() => taker.taken.length === 2)
})
