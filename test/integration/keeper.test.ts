import assert from 'node:assert/strict'
import { openSync, readFileSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { planCapacity } from '../../src/keeper/capacity.ts'
import { openClientListeners } from '../../src/keeper/client-listeners.ts'
import { Keeper } from '../../src/keeper/keeper.ts'
import { createRouterMemory } from '../../src/keeper/router-memory.ts'
import { descendants, isRunning, openDescriptors, type ProcessIdentity } from '../support/process-usage.ts'
import { waitUntil } from '../support/wait-until.ts'

const STUB = join(import.meta.dirname, '../support/stub-child.ts')

interface Children {
  /** Of a life; the last one repeats. */
  readonly control: string | readonly string[]
  /** By generation; the last one repeats. */
  readonly planes: readonly string[]
  readonly maxClients?: number
  /** What a new program says of itself. */
  readonly answer?: object
}

const ABLE = { switchyard: '9.9.9', problem: null }
const TAKES_AHEAD = { ...ABLE, takesAhead: true }

/** A keeper with stubs for children, in this process; ended after the test whatever happens. */
async function startKeeper(t: TestContext, { control, planes, maxClients = 100, answer = ABLE }: Children) {
  const controls = typeof control === 'string' ? [control] : [...control]
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
    memory: createRouterMemory(
      planCapacity({ bufferMemoryBytes: 67_108_864, maxClients, serverConnections: 10, openFiles: 10_000 }).geometry,
      0,
      0,
    ),
    lockFd: openSync('/dev/null', 'r'),
    orphans: [],
    upgradeStatus: '',
    onProgram: () => {},
    becomeKeeperOf: () => {},
    listeners,
    program: [process.execPath],
    checkCommand: ([node]) => [node, '-e', `console.log(${JSON.stringify(JSON.stringify(answer))})`],
    controlCommand: ([node]) => [node, STUB, (controls.length > 1 ? controls.shift() : controls[0]) ?? ''],
    planeCommand: ([node], _, generation) => [
      node,
      STUB,
      planes[Math.min(generation, planes.length) - 1] ?? 'plane-broken',
    ],
    environment: process.env,
    startOrder: (first, upgradeStatus) => ({
      upgradeStatus,
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

  /** Of the plane that it came to. */
  planePid(): Promise<number> {
    return waitUntil('a plane to answer', () => Number(/^(\d+)\n/.exec(this.received)?.[1] ?? 0))
  }

  /** Of a plane other than `before` that took it over. */
  keptBy(before: number): Promise<number> {
    return waitUntil('a successor to take the client over', () => {
      const pid = Number(/kept by (\d+)\n$/.exec(this.received)?.[1] ?? 0)
      return pid === before ? 0 : pid
    })
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
  assert.ok(children.length >= 2)
  keeper.stop('drain', 'test')
  assert.equal(await keeper.finished, 0)
  assert.equal(children.some(isRunning), false)
})

/** A plane's process other than `active`, which has had time to boot. */
async function standby(active: number): Promise<ProcessIdentity> {
  const found = await waitUntil('a standby', () => stubs('plane-').find(({ pid }) => pid !== active) ?? null)
  assert.ok(found)
  return found
}

test('a plane that is killed leaves its clients to its standby, which serves new ones as well', async (t) => {
  const { dial, lines } = await startKeeper(t, { control: 'control-obedient', planes: ['plane-pid'] })
  const client = dial()
  const first = await client.planePid()
  const { pid: second } = await standby(first)
  process.kill(first, 'SIGKILL')
  assert.equal(await client.keptBy(first), second)
  assert.equal(await dial().planePid(), second)
  assert.equal(client.isClosed, false)
  assert.ok(lines.some((line) => /plane 0 was killed by SIGKILL; another one starts now/.test(line)))
  assert.ok(lines.includes(`plane 0: its connections go to process ${second}`))
  assert.notEqual((await standby(second)).pid, first, 'there is a standby again')
})

test('without a standby the successor is a process that boots first', async (t) => {
  const { dial } = await startKeeper(t, { control: 'control-obedient', planes: ['plane-pid'] })
  const client = dial()
  const first = await client.planePid()
  process.kill(first, 'SIGKILL')
  const second = await client.keptBy(first)
  assert.equal(await dial().planePid(), second)
})

test('a standby that dies is replaced, and clients do not notice', async (t) => {
  const { dial, lines } = await startKeeper(t, { control: 'control-obedient', planes: ['plane-pid'] })
  const client = dial()
  const active = await client.planePid()
  const { pid } = await standby(active)
  process.kill(pid, 'SIGKILL')
  await waitUntil('another standby', () => stubs('plane-').some((stub) => stub.pid !== active && stub.pid !== pid))
  assert.equal(client.isClosed, false)
  assert.equal(await dial().planePid(), active)
  assert.ok(lines.some((line) => line.startsWith('plane 0 (standby) was killed by SIGKILL')))
})

test('what a plane says right before it dies is heard', async (t) => {
  const { dial } = await startKeeper(t, { control: 'control-obedient', planes: ['plane-pid'] })
  const [leaver, stayer] = [dial(), dial()]
  const first = await stayer.planePid()
  await leaver.planePid()
  leaver.socket.write('last words')
  assert.notEqual(await stayer.keptBy(first), first)
  await waitUntil('the other one to be disconnected', () => leaver.isClosed)
  assert.doesNotMatch(leaver.received, /kept/)
})

test('a client that was being served at two crashes is closed, and all others live on', async (t) => {
  const { dial, lines } = await startKeeper(t, { control: 'control-obedient', planes: ['plane-pid'] })
  const [poison, innocent] = [dial(), dial()]
  const first = await innocent.planePid()
  await poison.planePid()
  poison.socket.write('crash')
  const second = await poison.keptBy(first)
  poison.socket.write('crash')
  await waitUntil('the poisoned one to be disconnected', () => poison.isClosed)
  assert.ok((await innocent.keptBy(second)) > 0)
  assert.equal(innocent.isClosed, false)
  assert.equal(lines.filter((line) => line === 'plane 0 crashed while it served this client').length, 1)
  assert.ok(lines.includes('plane 0 crashed twice while it served one client, which is closed now'))
})

test('whoever is served when somebody else kills the plane is not blamed, however often', async (t) => {
  const { dial, lines } = await startKeeper(t, { control: 'control-obedient', planes: ['plane-pid'] })
  const client = dial()
  let plane = await client.planePid()
  for (let round = 0; round < 3; round++) {
    client.socket.write('kill')
    plane = await client.keptBy(plane)
  }
  assert.equal(client.isClosed, false)
  assert.equal(
    lines.some((line) => line.includes('crashed')),
    false,
  )
})

test('ten kills with many clients leak no descriptor', async (t) => {
  const { dial } = await startKeeper(t, { control: 'control-obedient', planes: ['plane-pid'], maxClients: 400 })
  const clients = Array.from({ length: 300 }, dial)
  const pids = await Promise.all(clients.map((client) => client.planePid()))
  let plane = pids[0] as number
  await standby(plane)
  const before = openDescriptors(process.pid)
  for (let round = 0; round < 10; round++) {
    process.kill(plane, 'SIGKILL')
    const successors = await Promise.all(clients.map((client) => client.keptBy(plane)))
    assert.equal(new Set(successors).size, 1)
    plane = successors[0] as number
  }
  await standby(plane)
  await waitUntil('as many descriptors as before', () => openDescriptors(process.pid) <= before)
})

test('an upgrade: a new process boots first, then the clients are its', async (t) => {
  const { keeper, dial, lines } = await startKeeper(t, { control: 'control-obedient', planes: ['plane-pid'] })
  const client = dial()
  const first = await client.planePid()
  const { pid: waiting } = await standby(first)
  const control = stubs('control-')[0]
  const said: string[] = []
  const listener = { begun: (text: string) => said.push(text), progress: (text: string) => said.push(text) }
  const result = await keeper.upgrade(null, listener)
  assert.equal(result.outcome, 'done')
  assert.match(result.text, /^Switchyard 9\.9\.9 serves\. 0 clients were kept, 0 dropped; the longest wait was/)
  assert.deepEqual(said, [
    'Switchyard 9.9.9 can take over.',
    'the control process is replaced',
    'plane 0 is replaced (1 of 1)',
  ])
  const second = await client.keptBy(first)
  assert.notEqual(second, waiting, 'a standby of before may be of an older version')
  assert.notEqual(stubs('control-')[0]?.pid, control?.pid)
  await waitUntil('the standby to be another one', () => {
    const pids = stubs('plane-').map(({ pid }) => pid)
    return pids.length === 2 && pids.includes(second) && !pids.includes(waiting)
  })
  assert.equal(
    lines.some((line) => /was killed|exited/.test(line)),
    false,
    'no failure',
  )
})

/** Of an upgrade, when it has clients. */
async function newProcess(): Promise<ProcessIdentity> {
  const found = await waitUntil('the new process', () => stubs('plane-unhurried')[0])
  assert.ok(found)
  await waitUntil('it to have clients', () => readFileSync(`/proc/${found.pid}/comm`, 'utf8').trim() === 'given ahead')
  return found
}

test('an upgrade to a program that can: the new process has the clients before the old one lets go', async (t) => {
  const { keeper, dial } = await startKeeper(t, {
    control: 'control-obedient',
    planes: ['plane-pid', 'plane-pid', 'plane-unhurried', 'plane-pid'],
    answer: TAKES_AHEAD,
  })
  const [leaving, staying] = [dial(), dial()]
  const first = await leaving.planePid()
  await staying.planePid()
  await standby(first)
  const upgraded = keeper.upgrade(null)
  const { pid } = await newProcess()
  leaving.socket.end()
  await waitUntil('the end of a connection that two processes have', () => leaving.isClosed)
  const late = dial()
  assert.equal(await late.planePid(), first, 'the old one serves meanwhile')
  process.kill(pid, 'SIGUSR2')
  assert.equal((await upgraded).outcome, 'done')
  assert.equal(await staying.keptBy(first), pid)
  assert.equal(staying.received, `${first}\ngiven ahead, kept by ${pid}\n`)
  assert.equal(await late.keptBy(first), pid)
  assert.equal(late.received, `${first}\nkept by ${pid}\n`)
})

test('a plane that dies while its new process has clients ahead is followed by its standby', async (t) => {
  const { keeper, dial } = await startKeeper(t, {
    control: 'control-obedient',
    planes: ['plane-pid', 'plane-pid', 'plane-unhurried', 'plane-pid'],
    answer: TAKES_AHEAD,
  })
  const client = dial()
  const first = await client.planePid()
  const { pid: waiting } = await standby(first)
  const upgraded = keeper.upgrade(null)
  const successor = await newProcess()
  process.kill(first, 'SIGKILL')
  assert.equal(await client.keptBy(first), waiting)
  assert.equal(client.received, `${first}\nkept by ${waiting}\n`)
  const { outcome, text } = await upgraded
  assert.deepEqual([outcome, /it died meanwhile/.test(text)], ['failed', true])
  await waitUntil('the end of the new process', () => !isRunning(successor))
  assert.equal(await dial().planePid(), waiting)
})

test('an upgrade that control asks for replaces the plane', async (t) => {
  const { dial } = await startKeeper(t, {
    control: ['control-upgrading', 'control-obedient'],
    planes: ['plane-pid'],
  })
  const client = dial()
  const first = await client.planePid()
  assert.notEqual(await client.keptBy(first), first)
})

test('a program that cannot take over is refused with its reason, and nothing has happened', async (t) => {
  const { keeper, dial } = await startKeeper(t, {
    control: 'control-obedient',
    planes: ['plane-pid'],
    answer: { switchyard: '0.0.1', problem: 'it is too old.' },
  })
  const client = dial()
  const first = await client.planePid()
  await standby(first)
  const before = [...stubs('plane-'), ...stubs('control-')].map(({ pid }) => pid)
  assert.deepEqual(await keeper.upgrade(null), {
    outcome: 'refused',
    text: 'Switchyard 0.0.1 cannot take over: it is too old.',
  })
  const missing = await keeper.upgrade('/nowhere/switchyard.js')
  assert.equal(missing.outcome, 'refused')
  assert.match(missing.text, /^There is no program at \/nowhere\/switchyard\.js \(ENOENT\)/)
  assert.deepEqual(
    [...stubs('plane-'), ...stubs('control-')].map(({ pid }) => pid),
    before,
  )
})

test('a program that is no router is refused', async (t) => {
  const { keeper, dial } = await startKeeper(t, {
    control: 'control-obedient',
    planes: ['plane-pid'],
    answer: [],
  })
  await dial().planePid()
  assert.deepEqual(await keeper.upgrade(null), {
    outcome: 'refused',
    text: 'The program is no Switchyard that can take over a running one.',
  })
})

test('there is one upgrade at a time, and none of a router that stops', async (t) => {
  const { keeper, dial } = await startKeeper(t, { control: 'control-deaf', planes: ['plane-pid'] })
  await dial().planePid()
  const one = keeper.upgrade(null)
  assert.deepEqual(await keeper.upgrade(null), { outcome: 'refused', text: 'Another upgrade is under way.' })
  keeper.stop('drain', 'test')
  const { outcome, text } = await one
  assert.equal(outcome, 'failed')
  assert.match(text, /^control was not replaced: the router is stopping\./)
  assert.deepEqual(await keeper.upgrade(null), {
    outcome: 'refused',
    text: 'The router is stopping; there is no upgrade from here on.',
  })
})

test('a plane whose new process does not come up goes on as if nothing were', async (t) => {
  const { keeper, dial } = await startKeeper(t, {
    control: 'control-obedient',
    planes: ['plane-pid', 'plane-pid', 'plane-broken'],
  })
  const client = dial()
  const first = await client.planePid()
  const { pid: waiting } = await standby(first)
  const { outcome, text } = await keeper.upgrade(null)
  assert.equal(outcome, 'failed')
  assert.match(text, /^plane 0 was not replaced: the process that should take over did not come up\./)
  assert.equal(client.isClosed, false)
  assert.equal(await dial().planePid(), first)
  assert.ok(stubs('plane-').some(({ pid }) => pid === waiting))
})

for (const behaviour of ['plane-silent', 'plane-dying']) {
  test(`a new process that takes over and does not serve (${behaviour}) is abandoned for the standby of before`, async (t) => {
    const { keeper, dial } = await startKeeper(t, {
      control: 'control-obedient',
      planes: ['plane-pid', 'plane-pid', behaviour, 'plane-pid'],
    })
    const client = dial()
    const first = await client.planePid()
    const { pid: waiting } = await standby(first)
    const { outcome, text } = await keeper.upgrade(null)
    assert.equal(outcome, 'failed')
    assert.match(text, /the process that took over did not serve; one of the version before serves again\./)
    assert.equal(await client.keptBy(first), waiting)
    assert.equal(await dial().planePid(), waiting)
    assert.equal(stubs(behaviour).length, 0)
  })
}

test('control of a version that does not come up is replaced by one of the version before', async (t) => {
  const { keeper, dial } = await startKeeper(t, {
    control: ['control-obedient', 'control-broken', 'control-obedient'],
    planes: ['plane-pid'],
  })
  const client = dial()
  const first = await client.planePid()
  const { outcome, text } = await keeper.upgrade(null)
  assert.equal(outcome, 'failed')
  assert.equal(
    text,
    'control was not replaced: the new process did not come up; one of the version before runs again. Clients noticed nothing.',
  )
  assert.equal(await dial().planePid(), first)
})

test('a plane that does not let go is killed', async (t) => {
  const { keeper, dial } = await startKeeper(t, { control: 'control-obedient', planes: ['plane-deaf', 'plane-pid'] })
  const deaf = await waitUntil('the plane', () => stubs('plane-deaf')[0])
  assert.ok(deaf)
  await waitUntil('it to serve', async () => (await keeper.upgrade(null)).outcome === 'done')
  assert.equal(isRunning(deaf), false)
  assert.ok((await dial().planePid()) > 0)
})

test('slots come back: many times more clients than slots are served one after another', async (t) => {
  const { dial } = await startKeeper(t, { control: 'control-obedient', planes: ['plane-pid'], maxClients: 2 })
  for (let round = 0; round < 10; round++) {
    const clients = Array.from({ length: 20 }, dial)
    await Promise.all(clients.map((client) => client.planePid()))
    for (const { socket } of clients) socket.destroy()
  }
})

test('clients that a plane never looked at are new to its successor', async (t) => {
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
  const pids = await Promise.all(clients.map((client) => client.planePid()))
  assert.equal(new Set(pids).size, 1)
  assert.equal(
    clients.some(({ isClosed }) => isClosed),
    false,
  )
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
