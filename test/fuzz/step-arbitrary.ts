import fc from 'fast-check'
import { pipeline } from './pipeline-arbitrary.ts'
import type { Leave, Request, Step } from './program.ts'
import { joined, type Statement, statement, type Trait, withValues } from './statement.ts'

/** One statement, several in one string, or several messages at once. */
export function queries(anyStatement: fc.Arbitrary<Statement>): fc.Arbitrary<Request> {
  const literal = anyStatement.filter(({ values }) => values.length === 0)
  return fc
    .oneof(
      { weight: 8, arbitrary: literal.map((only) => [only]) },
      { weight: 2, arbitrary: fc.array(literal, { minLength: 2, maxLength: 4 }).map((all) => [joined(all)]) },
      { weight: 1, arbitrary: fc.array(literal, { minLength: 2, maxLength: 3 }) },
    )
    .map((statements): Request => ({ kind: 'queries', statements }))
}

const copied = fc.constantFrom(
  statement('COPY item (owner, note) FROM STDIN'),
  statement('COPY item (owner, note) FROM STDIN'),
  statement('COPY mine FROM STDIN'),
  statement('COPY no_such_table FROM STDIN'),
)
const copiedAmongOthers = fc.constantFrom(
  statement("SELECT 'before'; COPY item (owner, note) FROM STDIN; SELECT 'after'"),
  statement("SET work_mem = '8MB'; COPY item (owner, note) FROM STDIN", 'joined'),
)

/** COPY FROM STDIN in both protocols, with data that are right or wrong. */
export const copyIn: fc.Arbitrary<Step> = fc
  .constantFrom('simple' as const, 'simple' as const, 'extended' as const, 'extended' as const)
  .chain((protocol) =>
    fc.record({
      kind: fc.constant('copyIn' as const),
      protocol: fc.constant(protocol),
      statement: protocol === 'simple' ? fc.oneof(copied, copiedAmongOthers) : copied,
      chunks: fc.array(fc.constantFrom(':me\tcopied\n', ':me\tco', 'pied\n', 'x\ty\n', '7\n', '\\.\n'), {
        maxLength: 3,
      }),
      ending: fc.constantFrom('done' as const, 'done' as const, 'fail' as const),
      eager: fc.boolean(),
      syncsEarly: protocol === 'simple' ? fc.constant(false) : fc.boolean(),
    }),
  )

const pins: readonly Trait[] = ['pins']

/** Function call messages; the numbers are those of `pg_proc`. */
export const call: fc.Arbitrary<Step> = fc
  .constantFrom<readonly [number, readonly string[]]>(
    [870, ['LOWER']],
    [177, ['40', '2']],
    [154, ['1', '0']],
    [2078, ['app.tenant', 'by call', 'false']],
    [2078, ['work_mem', '11MB', 'true']],
    [2880, ['300']],
    [1, []],
  )
  .map(([oid, values]): Step => ({ kind: 'call', oid, values, traits: pins }))

/** Cancel requests. */
export const cancel: fc.Arbitrary<Step> = fc
  .constantFrom('nothing' as const, 'query' as const, 'several' as const, 'extended' as const)
  .map((during): Step => ({ kind: 'cancel', during }))

/** What may be run or not without anybody else noticing. */
const unobtrusive: fc.Arbitrary<Statement> = fc.constantFrom(
  statement('SELECT generate_series(1, 1000)'),
  statement('BEGIN', 'begins', 'control'),
  statement('CREATE TEMP TABLE mine (x int)', 'pins'),
  statement('SELECT pg_try_advisory_lock(1)', 'pins'),
  statement("SET app.tenant = 'left behind'"),
  statement("SET client_encoding = 'LATIN1'"),
  statement('SET ROLE fuzz_reader'),
  statement('SELECT 1/0'),
  statement('LISTEN one', 'listens'),
  withValues(statement("SELECT set_config('app.tenant', $1, false)"), 'a value'),
)

/**
 * The end of a client: between two requests, with one on its way, or in the middle of a message. PostgreSQL finishes what it
 * was asked before an orderly goodbye; of what comes before a reset, nobody knows.
 */
export function leave(anyStatement: fc.Arbitrary<Statement>): fc.Arbitrary<Step> {
  const request = (one: fc.Arbitrary<Statement>): fc.Arbitrary<Request | null> =>
    fc.oneof(
      { weight: 3, arbitrary: fc.constant<Request | null>(null) },
      { weight: 2, arbitrary: queries(one) },
      { weight: 2, arbitrary: pipeline(one) },
    )
  const goodbye = fc
    .tuple(fc.constantFrom<Leave>('terminate', 'terminate', 'close'), request(anyStatement))
    // Who closes its side with a Flush behind its last query is waited for by neither.
    .filter(([, last]) => last?.kind !== 'extended' || last.frames.at(-1)?.type === 'sync')
  const reset = fc.tuple(fc.constant<Leave>('reset'), request(unobtrusive))
  const torn = fc.constantFrom(false, false, false, true)
  return fc.tuple(fc.oneof(goodbye, reset), torn).map(([[how, last], isTorn]): Step => {
    return { kind: 'leave', how, last, torn: isTorn }
  })
}
