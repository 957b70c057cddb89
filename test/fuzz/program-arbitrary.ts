import fc from 'fast-check'
import { dataStatement } from './data-statements.ts'
import { pipeline } from './pipeline-arbitrary.ts'
import type { Action, Leave, Program, Startup, Step } from './program.ts'
import { sessionStatement } from './session-statements.ts'
import { settingStatement } from './setting-statements.ts'
import { joined, type Statement, statement } from './statement.ts'
import { transactionStatement } from './transaction-statements.ts'

/** Clients of a program: more than a router's pool has server connections. */
export const CLIENTS = 5
const MOST_BURSTS = 24

/** Any statement that the generator knows. */
export const anyStatement: fc.Arbitrary<Statement> = fc.oneof(
  { weight: 6, arbitrary: transactionStatement },
  { weight: 6, arbitrary: settingStatement },
  { weight: 4, arbitrary: dataStatement },
  { weight: 5, arbitrary: sessionStatement },
)

const literalStatement = anyStatement.filter(({ values }) => values.length === 0)

/** One statement, several in one string, or several messages at once. */
const queries: fc.Arbitrary<Step> = fc
  .oneof(
    { weight: 8, arbitrary: literalStatement.map((only) => [only]) },
    { weight: 2, arbitrary: fc.array(literalStatement, { minLength: 2, maxLength: 4 }).map((all) => [joined(all)]) },
    { weight: 1, arbitrary: fc.array(literalStatement, { minLength: 2, maxLength: 3 }) },
  )
  .map((statements): Step => ({ kind: 'queries', statements }))

const copyIn: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('copyIn' as const),
  statement: fc.constantFrom(
    statement('COPY item (owner, note) FROM STDIN'),
    statement('COPY mine FROM STDIN'),
    statement('COPY no_such_table FROM STDIN'),
  ),
  chunks: fc.array(fc.constantFrom(':me\tcopied\n', ':me\tco', 'pied\n', 'x\ty\n', '7\n', '\\.\n'), { maxLength: 3 }),
  ending: fc.constantFrom('done' as const, 'done' as const, 'fail' as const),
  eager: fc.boolean(),
})

const leave: fc.Arbitrary<Step> = fc
  .constantFrom<Leave>('terminate', 'terminate', 'close', 'reset')
  .map((how): Step => ({ kind: 'leave', how }))

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: queries },
  { weight: 8, arbitrary: pipeline(anyStatement) },
  { weight: 1, arbitrary: copyIn },
  { weight: 1, arbitrary: leave },
)

const startup: fc.Arbitrary<Startup> = fc.record({
  role: fc.constantFrom('plain' as const, 'plain' as const, 'plain' as const, 'super' as const),
  parameters: fc.constantFrom<Readonly<Record<string, string>>>(
    {},
    {},
    { application_name: 'an application' },
    { TimeZone: 'Asia/Kolkata', datestyle: 'German' },
    { options: '-c work_mem=9MB' },
    { options: '-c app.tenant=t9 --search_path=public', application_name: 'tenant' },
    { client_encoding: 'LATIN1', extra_float_digits: '1' },
    { options: '-c default_transaction_read_only=on' },
    { options: '-c nonsense=1' },
    { TimeZone: 'Mars/Olympus' },
  ),
})

/** What one client does before others may get their turn; may be cut short when shrunk. */
const burst: fc.Arbitrary<Action[]> = fc
  .tuple(fc.nat({ max: CLIENTS - 1 }), fc.array(step, { minLength: 1, maxLength: 3, size: 'max' }))
  .map(([client, steps]) => steps.map((each) => ({ client, step: each })))

/** Random programs. */
export const program: fc.Arbitrary<Program> = fc.record({
  startups: fc.array(startup, { minLength: CLIENTS, maxLength: CLIENTS }),
  actions: fc.array(burst, { minLength: 1, maxLength: MOST_BURSTS, size: 'max' }).map((bursts) => bursts.flat()),
})
