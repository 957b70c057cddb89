import assert from 'node:assert/strict'
import { createConnection, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { planCapacity } from '../../src/keeper/capacity.ts'
import { openClientListeners } from '../../src/keeper/client-listeners.ts'
import { Keeper } from '../../src/keeper/keeper.ts'
import { descendants, isRunning, type ProcessIdentity } from '../support/process-usage.ts'
import { waitUntil } from '../support/wait-until.ts'

const STUB = join(import.meta.dirname, '../support/stub-child.ts')

interface Children {
  readonly control: string
  /** By generation; the last one repeats. */
  readonly planes: readonly string[]
  readonly maxClients?: number
}

/** A keeper with stubs for children, in this process; ended after the test whatever happens. */
async function startKeeper(t: TestContext, { control, planes, maxClients = 100 }: Children) {
  const listeners = await openClientListeners({
    addresses: ['127.0.0.1'],
    port: 0,
    unixSocketDirectory: null,
    unixSocketMode: 0o700,
    backlog: 1024,
    pid: process.pid,
  })
  const lines: string[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line).msg) })
  const keeper = new Keeper({
    geometry: planCapacity({ bufferMemoryBytes: 67_108_864, maxClients, serverConnections: 10, openFiles: 10_000 })
      .geometry,
    listeners,
    controlCommand: [process.execPath, STUB, control],
    planeCommand: (_, generation) => [
      process.execPath,
      STUB,
      planes[Math.min(generation, planes.length) - 1] ?? 'plane-broken',
    ],
    environment: process.env,
    startOrder: (first) => ({
      op: 'start',
      configFile: null,
      dataDirectory: '/',
      runDirectory: '/',
      keepShards: false,
      listening: [],
      startedAt: 0,
      first,
    }),
    pid: process.pid,
    architecture: process.arch,
    now: () => performance.now(),
    wallClockOffset: 0,
    log,
  })
  keeper.start()
  const place = listeners[0]?.place
  assert.ok(place?.kind === 'tcp')
  t.after(async () => {
    keeper.kill('the test is over')
    await keeper.finished
    for (const listener of listeners) listener.close()
  })
  return { keeper, lines, dial: () => new Client(t, place.port) }
}

class Client {
  readonly socket: Socket
  received = ''
  isClosed = false

  constructor(t: TestContext, port: number) {
    this.socket = createConnection(port, '127.0.0.1')
    this.socket.setEncoding('utf8')
    this.socket.on('data', (text: string) => {
      this.received += text
    })
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.isClosed = true
    })
    t.after(() => this.socket.destroy())
  }

  /** Of the plane that serves it. */
  planePid(): Promise<number> {
    return waitUntil('a plane to answer', () => Number(/^(\d+)\n/.exec(this.received)?.[1] ?? 0))
  }
}

/** Running children of this process that behave so. */
function stubs(behaviour: string): readonly ProcessIdentity[] {
  return descendants(process.pid).filter(({ command }) => command.includes(STUB) && command.includes(behaviour))
}

test('clients reach a plane, and a drained router ends with 0 and without processes', async (t) => {
  const { keeper, dial } = await startKeeper(t, { control: 'control-obedient', planes: ['plane-pid'] })
  const clients = [dial(), dial(), dial()]
  const pids = await Promise.all(clients.map((client) => client.planePid()))
  assert.equal(new Set(pids).size, 1)
  const children = [...stubs('plane-'), ...stubs('control-')]
  assert.equal(children.length, 2)
  keeper.stop('drain', 'test')
  assert.equal(await keeper.finished, 0)
  assert.equal(children.some(isRunning), false)
})

test('a plane that is killed is replaced, its clients are told, and new ones are served', async (t) => {
  const { dial, lines } = await startKeeper(t, { control: 'control-obedient', planes: ['plane-pid'] })
  const client = dial()
  const first = await client.planePid()
  process.kill(first, 'SIGKILL')
  await waitUntil('the client to be disconnected', () => client.isClosed)
  const second = await dial().planePid()
  assert.notEqual(second, first)
  assert.ok(lines.some((line) => /plane 0 was killed by SIGKILL; another one starts now/.test(line)))
  assert.ok(lines.some((line) => /plane 0 took its clients with it/.test(line)))
})

test('slots come back: many times more clients than slots are served one after another', async (t) => {
  const { dial } = await startKeeper(t, { control: 'control-obedient', planes: ['plane-pid'], maxClients: 2 })
  for (let round = 0; round < 10; round++) {
    const clients = Array.from({ length: 20 }, dial)
    await Promise.all(clients.map((client) => client.planePid()))
    for (const { socket } of clients) socket.destroy()
  }
})

test('clients that a plane does not take wait, and its successor serves none of its own', async (t) => {
  const { dial, lines } = await startKeeper(t, {
    control: 'control-obedient',
    planes: ['plane-deaf', 'plane-pid'],
    maxClients: 1000,
  })
  const clients = Array.from({ length: 600 }, dial)
  await waitUntil('all to be connected', () => clients.every(({ socket }) => !socket.pending))
  const deaf = await waitUntil('the plane', () => stubs('plane-deaf')[0] ?? null)
  assert.ok(deaf)
  process.kill(deaf.pid, 'SIGKILL')
  await waitUntil('each client to be disconnected or served', () =>
    clients.every(({ isClosed, received }) => isClosed || received !== ''),
  )
  assert.ok((await dial().planePid()) > 0)
  assert.ok(lines.length < 20, lines.join('\n'))
})

test('a plane that sends garbage is ended and replaced', async (t) => {
  const { dial, lines } = await startKeeper(t, { control: 'control-obedient', planes: ['plane-garbage', 'plane-pid'] })
  // The first ones may come while the bad plane lives.
  await waitUntil('a client to be served', async () => {
    const client = dial()
    await waitUntil('an end', () => client.received !== '' || client.isClosed)
    return client.received !== ''
  })
  assert.ok(lines.includes('plane 0 sent something unreadable and is ended'))
})

test('a plane that cannot start at all ends the router with 1 and a line that says so', async (t) => {
  const { keeper, lines } = await startKeeper(t, { control: 'control-obedient', planes: ['plane-broken'] })
  assert.equal(await keeper.finished, 1)
  assert.ok(lines.some((line) => /plane 0 cannot be started, the last attempt exited with code 9/.test(line)))
})

test('the exit code of a control that cannot run is the router’s', async (t) => {
  const { keeper } = await startKeeper(t, { control: 'control-refusing', planes: ['plane-pid'] })
  assert.equal(await keeper.finished, 7)
})

test('control that is killed is replaced, and clients do not notice', async (t) => {
  const { keeper, dial, lines } = await startKeeper(t, { control: 'control-obedient', planes: ['plane-pid'] })
  const client = dial()
  const plane = await client.planePid()
  const control = await waitUntil('control', () => stubs('control-')[0] ?? null)
  assert.ok(control)
  process.kill(control.pid, 'SIGKILL')
  await waitUntil('another control', () => stubs('control-').find(({ pid }) => pid !== control.pid))
  assert.equal(await dial().planePid(), plane)
  assert.equal(client.isClosed, false)
  assert.ok(lines.some((line) => /control was killed by SIGKILL/.test(line)))
  keeper.stop('drain', 'test')
  assert.equal(await keeper.finished, 0)
})

test('control that dies while it should stop everything does not leave the planes behind', async (t) => {
  const { keeper, dial, lines } = await startKeeper(t, { control: 'control-deaf', planes: ['plane-pid'] })
  await dial().planePid()
  const [plane] = stubs('plane-')
  assert.ok(plane)
  keeper.stop('drain', 'test')
  const control = stubs('control-deaf')[0]
  assert.ok(control)
  process.kill(control.pid, 'SIGKILL')
  assert.equal(await keeper.finished, 0)
  assert.equal(isRunning(plane), false)
  assert.ok(lines.some((line) => /control is gone; the planes are ended/.test(line)))
})

test('a shutdown at the console goes the same way as a signal', async (t) => {
  const { keeper, dial, lines } = await startKeeper(t, { control: 'control-obedient', planes: ['plane-pid'] })
  await dial().planePid()
  keeper.reload()
  assert.equal(await keeper.finished, 0)
  assert.ok(lines.some((line) => /stopping \(immediate\): reloading means stopping here/.test(line)))
})
