import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PreparedStatement, ServerStatements, SessionStatements, StatementRegistry } from './prepared-statements.ts'

const tail = (text: string): Buffer => Buffer.from(`${text}\0\0\0`)

test('the same text with the same parameter types is the same statement, whoever prepares it', () => {
  const registry = new StatementRegistry()
  const one = registry.acquire(tail('select 1'))
  assert.equal(registry.acquire(tail('select 1')), one)
  assert.equal(one.users, 2)
  assert.equal(registry.size, 1)
  const typed = registry.acquire(Buffer.from('select 1\0\0\x01\0\0\0\x17'))
  assert.notEqual(typed, one)
  assert.notEqual(typed.serverName, one.serverName)
})

test('texts that differ in bytes which are no UTF-8 are different statements', () => {
  const registry = new StatementRegistry()
  const one = registry.acquire(Buffer.from([0xff, 0, 0, 0]))
  assert.notEqual(registry.acquire(Buffer.from([0xfe, 0, 0, 0])), one)
})

test('a new statement keeps a copy: the buffer it came in may be used again', () => {
  const registry = new StatementRegistry()
  const buffer = tail('select 1')
  const statement = registry.acquire(buffer)
  buffer.fill(0x78)
  assert.deepEqual(statement.tail, tail('select 1'))
})

test('a statement that nobody has any more waits for the next to prepare it', () => {
  const registry = new StatementRegistry()
  const one = registry.acquire(tail('select 1'))
  registry.release(one)
  assert.equal(one.users, 0)
  assert.equal(registry.size, 1)
  assert.equal(registry.acquire(tail('select 1')), one)
})

test('a forgotten statement stays with who has it, and the next to prepare its text gets another', () => {
  const registry = new StatementRegistry()
  const old = registry.acquire(tail('select 1'))
  registry.forget(old)
  const fresh = registry.acquire(tail('select 1'))
  assert.notEqual(fresh.serverName, old.serverName)
  registry.forget(old)
  assert.equal(registry.acquire(tail('select 1')), fresh, 'what is forgotten already takes no other along')
  registry.release(old)
  assert.equal(old.users, 0)
})

test('when there are too many statements the unused ones go, and the used ones stay', () => {
  const registry = new StatementRegistry()
  const used = registry.acquire(tail('select used'))
  for (let at = 1; at < 10_000; at++) registry.release(registry.acquire(tail(`select ${at}`)))
  assert.equal(registry.size, 10_000)
  const next = registry.acquire(tail('select next'))
  assert.equal(registry.size, 2)
  assert.equal(registry.acquire(tail('select used')), used)
  assert.equal(registry.acquire(tail('select next')), next)
  assert.ok(next.id > 10_000, 'a name is never used for two texts')
})

test('a registry of statements that are all used is swept when it has doubled, not for each new one', () => {
  const registry = new StatementRegistry()
  for (let at = 0; at < 10_000; at++) registry.acquire(tail(`select ${at}`))
  registry.acquire(tail('select the one that sweeps in vain'))
  for (let at = 0; at < 9_999; at++) registry.release(registry.acquire(tail(`select another ${at}`)))
  assert.equal(registry.size, 20_000)
  registry.acquire(tail('select the one that sweeps'))
  assert.equal(registry.size, 10_002)
})

test('a name can be taken once by a session, and by each session', () => {
  const registry = new StatementRegistry()
  const [one, other] = [new SessionStatements(registry), new SessionStatements(registry)]
  const statement = one.add('s1', tail('select 1'))
  assert.equal(one.add('s1', tail('select 2')), null)
  assert.equal(one.add('s1', tail('select 1')), null)
  assert.equal(one.get('s1'), statement)
  assert.equal(registry.size, 1, 'a refused statement is not kept')
  assert.notEqual(other.add('s1', tail('select 2')), statement)
  assert.equal(one.get('S1'), undefined)
  assert.equal(one.size, 1)
})

test('users are counted by name, and given back by close and by clear', () => {
  const registry = new StatementRegistry()
  const session = new SessionStatements(registry)
  const statement = session.add('a', tail('select 1')) as PreparedStatement
  session.add('b', tail('select 1'))
  session.add('c', tail('select 1'))
  assert.equal(statement.users, 3)
  session.delete('a')
  session.delete('a')
  session.delete('unknown')
  assert.equal(statement.users, 2)
  session.clear()
  session.clear()
  assert.equal(statement.users, 0)
  assert.equal(session.size, 0)
  assert.notEqual(session.add('a', tail('select 1')), null)
})

test('a server connection gives up what it has used least recently', () => {
  const known = new ServerStatements()
  const [a, b, c] = ['a', 'b', 'c'].map((text, at) => new PreparedStatement(at, tail(text))) as [
    PreparedStatement,
    PreparedStatement,
    PreparedStatement,
  ]
  assert.equal(known.use(a), false)
  assert.equal(known.size, 0, 'asking does not add')
  for (const each of [a, b, c]) known.add(each)
  assert.equal(known.use(a), true)
  assert.equal(known.evict(4), null)
  assert.equal(known.evict(3), b)
  assert.equal(known.use(b), false)
  assert.equal(known.evict(3), null)
  assert.equal(known.evict(2), c)
  assert.equal(known.evict(1), a)
  assert.equal(known.evict(0), null)
})

test('the order of a server connection is that of use, whatever happens in between', () => {
  const all = Array.from({ length: 6 }, (_, id) => new PreparedStatement(id, tail(String(id))))
  const step = fc.record({
    op: fc.constantFrom('need' as const, 'delete' as const, 'evict' as const),
    which: fc.nat(all.length - 1),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const known = new ServerStatements()
      let model: PreparedStatement[] = []
      for (const { op, which } of steps) {
        const statement = all[which] as PreparedStatement
        if (op === 'evict') assert.equal(known.evict(1), model.shift() ?? null)
        else {
          if (op === 'delete') known.delete(statement)
          else {
            assert.equal(known.use(statement), model.includes(statement))
            known.add(statement)
          }
          model = model.filter((other) => other !== statement)
          if (op === 'need') model.push(statement)
        }
        assert.equal(known.size, model.length)
      }
      known.clear()
      assert.equal(known.size, 0)
    }),
  )
})

test('long texts are kept as long as they take no more than their share, and given back', () => {
  const registry = new StatementRegistry()
  const megabyte = 1 << 20
  const texts = Array.from({ length: 64 }, () => registry.reserve(megabyte))
  assert.ok(texts.every((text) => text?.length === megabyte))
  assert.equal(registry.reserve(1), null)
  registry.free(texts[0] as Buffer)
  assert.equal(registry.reserve(megabyte)?.length, megabyte)
})

/** Fills the share but for `left` bytes. */
function registryWith(left: number): StatementRegistry {
  const registry = new StatementRegistry()
  registry.reserve(64 * (1 << 20) - left)
  return registry
}

const isFull = (registry: StatementRegistry): boolean => registry.reserve(1) === null

test('a long statement is nobody else’s, and its text goes when it cannot come back', () => {
  const registry = registryWith(3)
  const session = new SessionStatements(registry)
  const statement = session.addLong('a', registry.reserve(3) as Buffer)
  assert.notEqual(new SessionStatements(registry).add('a', statement.tail), statement)
  session.delete('a')
  assert.ok(isFull(registry), 'a Close may be skipped')
  session.restore('a', statement)
  assert.equal(session.get('a')?.tail.length, 3)
  registry.drop(statement)
  assert.ok(isFull(registry), 'somebody has it')
  session.delete('a')
  registry.drop(statement)
  assert.equal(isFull(registry), false)
})

test('the end of a session, and a Parse that was skipped, give the text of a long statement back', () => {
  for (const end of [
    (session: SessionStatements) => session.clear(),
    (session: SessionStatements) => session.restore('a', null),
  ]) {
    const registry = registryWith(3)
    const session = new SessionStatements(registry)
    session.addLong('a', registry.reserve(3) as Buffer)
    end(session)
    assert.equal(isFull(registry), false)
  }
})

test('a long statement that no session has is the first to make room, before there is any need', () => {
  const registry = new StatementRegistry()
  const session = new SessionStatements(registry)
  const server = new ServerStatements()
  const short = registry.acquire(Buffer.from('short'))
  const long = session.addLong('a', registry.reserve(3) as Buffer)
  for (const statement of [short, long]) server.add(statement)
  server.add(long)
  assert.equal(server.evict(10), null)
  session.clear()
  assert.equal(server.evict(10), long)
  assert.equal(server.evict(10), null)
  assert.equal(server.size, 1)
})

test('what was used last is there only until it is deleted, evicted or cleared away', () => {
  const registry = new StatementRegistry()
  const [one, two] = [registry.acquire(Buffer.from('1')), registry.acquire(Buffer.from('2'))]
  const server = new ServerStatements()
  server.add(one)
  assert.deepEqual([server.use(one), server.use(two)], [true, false])
  server.delete(one)
  assert.equal(server.use(one), false)
  server.add(one)
  server.add(two)
  assert.ok(server.use(one))
  // It is the most recently used now, however it became that.
  server.add(two)
  assert.equal(server.evict(2), two)
  assert.equal(server.evict(1), one)
  assert.equal(server.use(one), false)
  server.add(two)
  server.clear()
  assert.equal(server.use(two), false)
})
