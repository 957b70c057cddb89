import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { RouterError } from '../../errors.ts'
import type { PlaneCommand, PlaneEvent } from '../../memory/control-protocol.ts'
import { encodeFrame, FrameDecoder } from '../../memory/frame-codec.ts'
import type { PlaneValues } from '../../shard/plane-values.ts'
import type { Topology } from '../../shard/topology.ts'
import { PlaneLink } from './plane-link.ts'

const topology = (version: number): Topology => ({ version, shards: [] })
/** Only what the link looks at. */
const values = (version: number, topologyVersion: number): PlaneValues =>
  ({ version, topology: topology(topologyVersion) }) as unknown as PlaneValues

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000
  while (!condition()) {
    assert.ok(performance.now() < deadline, 'waited too long')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** The bytes of a plane. */
class Plane {
  readonly commands: PlaneCommand[] = []
  /** As it was told when it said hello. */
  held: readonly number[] | null = null
  readonly socket: Socket

  constructor(t: TestContext, path: string) {
    this.socket = createConnection(path)
    const decoder = new FrameDecoder<PlaneCommand>()
    this.socket.on('data', (chunk) => {
      for (const command of decoder.push(chunk)) {
        if (command.op === 'holds') this.held = command.shards
        else this.commands.push(command)
      }
    })
    this.socket.on('error', () => {})
    t.after(() => this.socket.destroy())
  }

  say(event: PlaneEvent): void {
    this.socket.write(encodeFrame(event))
  }

  hello(valuesVersion: number, topologyVersion: number, plane = 0, model?: string): this {
    this.say({ op: 'hello', plane, pid: 99, valuesVersion, topologyVersion, ...(model === undefined ? {} : { model }) })
    return this
  }

  async command<Op extends PlaneCommand['op']>(op: Op): Promise<Extract<PlaneCommand, { op: Op }>> {
    const is = (command: PlaneCommand): command is Extract<PlaneCommand, { op: Op }> => command.op === op
    await until(() => this.commands.some(is))
    const found = this.commands.find(is)
    assert.ok(found)
    this.commands.splice(this.commands.indexOf(found), 1)
    return found
  }
}

async function harness(t: TestContext, planes = 1) {
  const directory = mkdtempSync(join(tmpdir(), 'sy-'))
  const path = join(directory, 'control.sock')
  const heard: unknown[] = []
  const link = new PlaneLink({
    planes,
    onAccountRefused: () => {},
    onPreserved: () => {},
    findFunctions: async (question) => ({ ...question, functions: null }),
    findAccount: async (user) => {
      if (user === 'broken') throw new Error('the shard is gone')
      return { op: 'account', user, account: null, error: null }
    },
    onSuspect: (shard, reason) => heard.push({ shard, reason }),
    onWrote: (group) => heard.push({ group }),
    onClientLost: () => {},
    onLog: (plane, pid, { message }) => heard.push({ plane, pid, message }),
    log: pino({ level: 'silent' }),
  })
  await link.listen(path)
  t.after(async () => {
    await link.close()
    rmSync(directory, { recursive: true, force: true })
  })
  return { link, heard, dial: () => new Plane(t, path) }
}

test('a fresh plane gets the values with the present topology in them', async (t) => {
  const { link, dial } = await harness(t)
  link.publishValues(values(5, 7))
  link.publishTopology(topology(8))
  const got = await dial().hello(0, 0).command('values')
  assert.deepEqual([got.values.version, got.values.topology.version], [5, 8])
})

test('a plane that has the values gets the topology alone, and one that has both gets nothing', async (t) => {
  const { link, dial } = await harness(t, 2)
  link.publishValues(values(5, 7))
  link.publishTopology(topology(8))
  const behind = dial().hello(5, 7, 0)
  const current = dial().hello(5, 8, 1)
  assert.equal((await behind.command('topology')).topology.version, 8)
  await until(() => link.troubles().length === 0)
  link.publishTopology(topology(9))
  assert.equal((await current.command('topology')).topology.version, 9)
  assert.deepEqual(current.commands, [])
})

test('a topology is not sent to planes that have no values yet', async (t) => {
  const { link, dial } = await harness(t)
  const plane = dial().hello(0, 0)
  await until(() => link.troubles().length === 0)
  link.publishTopology(topology(1))
  link.publishValues(values(1, 1))
  await plane.command('values')
  assert.deepEqual(plane.commands, [])
})

test('a plane that comes before there are values is not told what was known of shards before they were probed', async (t) => {
  const { link, dial } = await harness(t)
  link.publishTopology(topology(1))
  const plane = dial().hello(4, 7)
  await until(() => plane.held !== null)
  link.publishTopology(topology(2))
  link.publishValues(values(5, 3))
  assert.equal((await plane.command('values')).values.topology.version, 3)
  assert.deepEqual(plane.commands, [])
})

test('a fresh plane gets the model before anything else, a successor after everything else, and one that has it not again', async (t) => {
  const { link, dial } = await harness(t, 3)
  link.publishValues(values(5, 7))
  link.publishModel({ sha256: 'abc' })
  const fresh = dial().hello(0, 0, 0)
  const successor = dial().hello(4, 7, 1)
  const current = dial().hello(4, 7, 2, 'abc')
  for (const plane of [fresh, successor, current]) await until(() => plane.commands.some(({ op }) => op === 'values'))
  await until(() => successor.commands.some(({ op }) => op === 'model'))
  const said = [fresh, successor, current].map(({ commands }) => commands.map(({ op }) => op))
  assert.deepEqual(said, [['model', 'values'], ['values', 'model'], ['values']])
  link.publishModel(null)
  assert.equal((await current.command('model')).model, null)
})

test('a command settles when all planes have carried it out', async (t) => {
  const { link, dial } = await harness(t, 2)
  const planes = [dial().hello(0, 0, 0), dial().hello(0, 0, 1)]
  await until(() => link.troubles().length === 0)
  let isSettled = false
  const asked = link.askAll({ op: 'resume', database: null }).then(() => {
    isSettled = true
  })
  for (const plane of planes) {
    const { id } = await plane.command('resume')
    assert.equal(isSettled, false)
    plane.say({ op: 'done', id, error: null })
  }
  await asked
})

test('a command rejects with the reason of the plane that refused, or because it went away', async (t) => {
  const { link, dial } = await harness(t)
  const plane = dial().hello(0, 0)
  await until(() => link.troubles().length === 0)
  const refused = link.askAll({ op: 'resume', database: null })
  plane.say({ op: 'done', id: (await plane.command('resume')).id, error: 'no such pool' })
  await assert.rejects(refused, (error) => {
    assert.ok(error instanceof RouterError && error.sqlstate === '58000')
    assert.equal(error.message, 'plane 0: no such pool')
    return true
  })
  const abandoned = link.askAll({ op: 'resume', database: null })
  await plane.command('resume')
  plane.socket.destroy()
  await assert.rejects(abandoned, /plane 0 went away/)
  assert.deepEqual(link.troubles(), ['plane 0 is not connected'])
})

test('a command without a plane is refused at once, with the SQLSTATE of "not now"', async (t) => {
  const { link } = await harness(t)
  const isNotNow = (error: unknown): boolean => error instanceof RouterError && error.sqlstate === '57P03'
  await assert.rejects(link.askAll({ op: 'resume', database: null }), isNotNow)
  await assert.rejects(link.ask(0, { op: 'resume', database: null }), isNotNow)
  assert.throws(() => link.requirePlanes(), isNotNow)
})

test('a plane that starts later is told what is paused, and that the router drains', async (t) => {
  const { link, dial } = await harness(t)
  link.pauses.hold('pause', 'shop')
  await link.drainAll('transactions', 10_000, () => 0)
  const plane = dial().hello(0, 0)
  assert.equal((await plane.command('pause')).database, 'shop')
  const { awaited, deadlineMs } = await plane.command('drain')
  assert.deepEqual([awaited, deadlineMs], ['transactions', 10_000])
})

test('a plane that starts later is told which shards are held, and that others are not any more', async (t) => {
  const { link, dial } = await harness(t)
  link.holds.hold(3, 700)
  const plane = dial().hello(0, 0)
  assert.deepEqual(await plane.command('hold'), { op: 'hold', shard: 3, deadlineMs: 700, id: 1 })
  assert.deepEqual(plane.held, [3])
})

test('a drain settles when a plane says so, and also when it dies', async (t) => {
  const { link, dial } = await harness(t, 2)
  const planes = [dial().hello(0, 0, 0), dial().hello(0, 0, 1)]
  await until(() => link.troubles().length === 0)
  const drained = link.drainAll('clients', null, () => 0)
  const { id } = await planes[0]!.command('drain')
  planes[0]?.say({ op: 'done', id, error: null })
  planes[1]?.socket.destroy()
  await drained
})

test('a drain can be hurried, and what has been hurried is not slowed down again', async (t) => {
  const { link, dial } = await harness(t)
  const plane = dial().hello(0, 0)
  await until(() => link.troubles().length === 0)
  for (const [awaited, deadlineMs, orderedFor, orderedMs] of [
    ['clients', null, 'clients', null],
    ['transactions', 5_000, 'transactions', 5_000],
    ['clients', null, 'transactions', 5_000],
    ['transactions', 0, 'transactions', 0],
    ['transactions', 5_000, 'transactions', 0],
  ] as const) {
    const drained = link.drainAll(awaited, deadlineMs, () => 0)
    const command = await plane.command('drain')
    assert.deepEqual([command.awaited, command.deadlineMs], [orderedFor, orderedMs])
    plane.say({ op: 'done', id: command.id, error: null })
    await drained
  }
})

test('questions about users are answered, also when looking them up fails', async (t) => {
  const { dial } = await harness(t)
  const plane = dial().hello(0, 0)
  plane.say({ op: 'account', user: 'somebody', database: 'shop' })
  assert.deepEqual(await plane.command('account'), { op: 'account', user: 'somebody', account: null, error: null })
  plane.say({ op: 'account', user: 'broken', database: 'shop' })
  assert.equal((await plane.command('account')).error, 'the shard is gone')
})

test('what planes say of shards and for the log reaches those who want to know', async (t) => {
  const { heard, dial } = await harness(t)
  const plane = dial().hello(0, 0)
  plane.say({ op: 'suspect', shard: 3, reason: 'reset' })
  plane.say({ op: 'log', level: 'info', message: 'hello', fields: {} })
  await until(() => heard.length === 2)
  assert.deepEqual(heard, [
    { shard: 3, reason: 'reset' },
    { plane: 0, pid: 99, message: 'hello' },
  ])
})

test('a plane that dials again takes the place of its former self', async (t) => {
  const { link, dial } = await harness(t)
  const old = dial().hello(0, 0)
  await until(() => link.troubles().length === 0)
  const fresh = dial().hello(0, 0)
  await until(() => old.socket.closed)
  assert.deepEqual(link.troubles(), [])
  const asked = link.ask(0, { op: 'resume', database: null })
  fresh.say({ op: 'done', id: (await fresh.command('resume')).id, error: null })
  await asked
})

test('bytes that are no frames end that connection and no other', async (t) => {
  const { link, dial } = await harness(t)
  const plane = dial().hello(0, 0)
  await until(() => link.troubles().length === 0)
  const stranger = dial()
  stranger.socket.write('GET / HTTP/1.1\r\n\r\n')
  await until(() => stranger.socket.closed)
  link.exitAll(10).catch(() => {})
  await plane.command('exit')
})
