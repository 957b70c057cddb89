import fc from 'fast-check'
import type { Frame } from './frame.ts'
import type { Request } from './program.ts'
import type { Statement } from './statement.ts'

/** Names of prepared statements, with the number of parameters that each one's texts have. */
const PARAMETERS = { p1: 0, p2: 1, p3: 0 } as const
const STATEMENTS = ['p1', 'p2', 'p3'] as const
const PORTALS = ['', 'w1', 'w2'] as const
const named = fc.constantFrom(...STATEMENTS)
const portal = fc.constantFrom(...PORTALS)
const rows = fc.constantFrom(0, 0, 0, 1, 2)

/** What drivers do with a text: Parse, Bind, Describe, Execute of the unnamed ones. */
function oneShot(statement: Statement): Frame[] {
  return [
    { type: 'parse', name: '', statement },
    { type: 'bind', portal: '', name: '', values: statement.values },
    { type: 'describe', kind: 'P', name: '' },
    { type: 'execute', portal: '', rows: 0 },
  ]
}

function item(anyStatement: fc.Arbitrary<Statement>): fc.Arbitrary<Frame[]> {
  const text = named.chain((name) =>
    anyStatement.filter(({ values }) => values.length === PARAMETERS[name]).map((given) => ({ name, given })),
  )
  const prepare = fc.tuple(text, fc.boolean()).map(([{ name, given }, describe]): Frame[] => {
    const parse: Frame = { type: 'parse', name, statement: given }
    return describe ? [parse, { type: 'describe', kind: 'S', name }] : [parse]
  })
  const surplus = fc.constantFrom([], [], [], ['one too many'])
  const prepareAndRun = fc.tuple(text, portal, rows, surplus).map(([{ name, given }, to, limit, more]): Frame[] => [
    { type: 'parse', name, statement: given },
    { type: 'bind', portal: to, name, values: [...given.values, ...more] },
    { type: 'execute', portal: to, rows: limit },
  ])
  // Executed later, if at all.
  const bindOnly = fc.tuple(text, fc.constantFrom('', 'w1', 'w2')).map(([{ name, given }, to]): Frame[] => [
    { type: 'parse', name, statement: given },
    { type: 'bind', portal: to, name, values: given.values },
  ])
  const value = fc.constantFrom('1', '0', null, 'on')
  const run = fc
    .tuple(named, portal, value, rows, fc.boolean())
    .map(([name, to, given, limit, resume]): Frame[] => [
      { type: 'bind', portal: to, name, values: PARAMETERS[name] === 1 ? [given] : [] },
      { type: 'describe', kind: 'P', name: to },
      { type: 'execute', portal: to, rows: limit },
      ...(resume ? [{ type: 'execute' as const, portal: to, rows: 0 }] : []),
    ])
  // Not of the unnamed portal, if it was not bound just before: PostgreSQL 18.4 crashes when that is one which a simple
  // query with COMMIT AND CHAIN has left.
  const old = fc.constantFrom('w1', 'w2')
  const single: fc.Arbitrary<Frame> = fc.oneof(
    fc.record({ type: fc.constant('execute' as const), portal: old, rows }),
    fc.record({ type: fc.constant('describe' as const), kind: fc.constant('S' as const), name: named }),
    fc.record({
      type: fc.constant('close' as const),
      kind: fc.constant('S' as const),
      name: fc.oneof(named, fc.constant('')),
    }),
    fc.record({ type: fc.constant('close' as const), kind: fc.constant('P' as const), name: old }),
    fc.record({ type: fc.constantFrom('flush' as const, 'sync' as const) }),
  )
  // Whatever the unnamed statement is by then, or is not.
  const again = fc.tuple(portal, value).map(([to, given]): Frame[] => [
    { type: 'bind', portal: to, name: '', values: given === null ? [] : [given] },
    { type: 'execute', portal: to, rows: 0 },
  ])
  return fc.oneof(
    { weight: 6, arbitrary: anyStatement.map(oneShot) },
    { weight: 1, arbitrary: again },
    { weight: 3, arbitrary: prepare },
    { weight: 3, arbitrary: prepareAndRun },
    { weight: 1, arbitrary: bindOnly },
    { weight: 4, arbitrary: run },
    { weight: 4, arbitrary: single.map((frame) => [frame]) },
  )
}

/** Up to four pieces of extended protocol in one go, mostly with a Sync behind them, some with one between them. */
export function pipeline(anyStatement: fc.Arbitrary<Statement>): fc.Arbitrary<Request> {
  const last = fc.constantFrom<Frame>({ type: 'sync' }, { type: 'sync' }, { type: 'sync' }, { type: 'flush' })
  const part = fc
    .tuple(item(anyStatement), fc.nat(5))
    .map(([frames, chance]): Frame[] => (chance === 0 ? [...frames, { type: 'sync' }] : frames))
  return fc
    .tuple(fc.array(part, { minLength: 1, maxLength: 4 }), last)
    .map(([parts, end]): Request => ({ kind: 'extended', frames: [...parts.flat(), end] }))
}
