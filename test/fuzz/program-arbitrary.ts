import fc from 'fast-check'
import { dataStatement } from './data-statements.ts'
import { pipeline } from './pipeline-arbitrary.ts'
import { type Action, CLIENTS, type Program, type Startup, type Step } from './program.ts'
import { notification, ownState, preparation, sessionStatement } from './session-statements.ts'
import { settingStatement } from './setting-statements.ts'
import type { Statement } from './statement.ts'
import { call, cancel, copyIn, leave, queries } from './step-arbitrary.ts'
import { transactionStatement } from './transaction-statements.ts'

const MOST_BURSTS = 14
/** Two are enough to find in a server connection what the other one has left there. */
const CROWDS = [2, 2, CLIENTS]

/** How often which kind of statement, and of step, is chosen. */
interface Theme {
  readonly weight: number
  readonly statements: readonly (readonly [number, fc.Arbitrary<Statement>])[]
  readonly queries: number
  readonly pipelines: number
  /** COPY, function calls, cancel requests. */
  readonly others: number
}

/** What is rare among everything is common in programs about it. */
const THEMES: readonly Theme[] = [
  {
    weight: 5,
    statements: [
      [6, transactionStatement],
      [6, settingStatement],
      [4, dataStatement],
      [5, sessionStatement],
    ],
    queries: 10,
    pipelines: 8,
    others: 1,
  },
  {
    weight: 3,
    statements: [
      [4, transactionStatement],
      [10, settingStatement],
      [1, sessionStatement],
    ],
    queries: 10,
    pipelines: 6,
    others: 0,
  },
  {
    weight: 3,
    statements: [
      [2, transactionStatement],
      [3, dataStatement],
      [5, preparation],
      [1, settingStatement],
    ],
    queries: 3,
    pipelines: 10,
    others: 0,
  },
  {
    weight: 1,
    statements: [
      [4, transactionStatement],
      [8, notification],
      [1, settingStatement],
    ],
    queries: 10,
    pipelines: 6,
    others: 0,
  },
  {
    weight: 1,
    statements: [
      [3, transactionStatement],
      [8, ownState],
      [1, settingStatement],
    ],
    queries: 10,
    pipelines: 6,
    others: 0,
  },
  {
    weight: 1,
    statements: [
      [3, transactionStatement],
      [3, dataStatement],
      [2, settingStatement],
      [2, sessionStatement],
    ],
    queries: 3,
    pipelines: 3,
    others: 4,
  },
]

const startup: fc.Arbitrary<Startup> = fc.record({
  role: fc.constantFrom('plain' as const, 'plain' as const, 'plain' as const, 'super' as const, 'tenant' as const),
  parameters: fc.constantFrom<Readonly<Record<string, string>>>(
    {},
    {},
    { application_name: 'an application' },
    { TimeZone: 'Asia/Kolkata', datestyle: 'German' },
    { options: '-c work_mem=9MB' },
    { options: '-c app.tenant=t9 --search_path=public', application_name: 'tenant' },
    { client_encoding: 'LATIN1', extra_float_digits: '1' },
    { options: '-c default_transaction_read_only=on' },
    { options: '-c statement_timeout=31s -cIntervalStyle=iso_8601' },
    { options: '-c nonsense=1' },
    { TimeZone: 'Mars/Olympus' },
  ),
})

function stepOf({ statements, ...theme }: Theme): fc.Arbitrary<Step> {
  const statement = fc.oneof(...statements.map(([weight, arbitrary]) => ({ weight, arbitrary })))
  const steps = [
    { weight: 10 * theme.queries, arbitrary: queries(statement) },
    { weight: 10 * theme.pipelines, arbitrary: pipeline(statement) },
    { weight: 9, arbitrary: leave(statement) },
    { weight: 4 * theme.others, arbitrary: copyIn },
    { weight: 2 * theme.others, arbitrary: call },
    { weight: theme.others, arbitrary: cancel },
  ]
  return fc.oneof(...steps.filter(({ weight }) => weight > 0))
}

/** What one client does before others may get their turn; may be cut short when shrunk. */
function burstOf(step: fc.Arbitrary<Step>, clients: number): fc.Arbitrary<Action[]> {
  return fc
    .tuple(fc.nat({ max: clients - 1 }), fc.array(step, { minLength: 1, maxLength: 3, size: 'max' }))
    .map(([client, steps]) => steps.map((each) => ({ client, step: each })))
}

function programOf(theme: Theme, clients: number): fc.Arbitrary<Program> {
  const bursts = fc.array(burstOf(stepOf(theme), clients), { minLength: 1, maxLength: MOST_BURSTS, size: 'max' })
  return fc.record({
    startups: fc.array(startup, { minLength: CLIENTS, maxLength: CLIENTS }),
    actions: bursts.map((each) => each.flat()),
  })
}

/** Random programs. */
export const program: fc.Arbitrary<Program> = fc.oneof(
  ...THEMES.flatMap((theme) =>
    CROWDS.map((clients) => ({ weight: theme.weight, arbitrary: programOf(theme, clients) })),
  ),
)
