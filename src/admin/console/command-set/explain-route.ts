import { RouterError } from '../../../errors.ts'
import { intentOf, type RouteLine, routeOfClient, routesByTier } from '../../route-report.ts'
import { clientId, parseSlotId } from '../../slot-id.ts'
import { badArgument } from '../arguments.ts'
import type { QuestionCommand, ReportContext } from '../command.ts'
import { bool, type Field, rowsOf, text } from '../table.ts'
import type { Token } from '../tokens.ts'

const FIELDS: readonly Field<RouteLine>[] = [
  text('tier', ({ tier }) => tier),
  text('pool', ({ pool }) => pool),
  text('shard', ({ shard }) => shard),
  bool('usable', ({ usable }) => usable),
  text('reason', ({ reason }) => reason),
]

export const explainRoute: QuestionCommand = {
  kind: 'question',
  name: 'EXPLAIN ROUTE',
  argument: 'sql | FOR id',
  summary: 'Where a statement, or the next read of a client, may run now, shard by shard with the reasons.',
  columns: FIELDS,
  prepare(argument) {
    const [first, second, ...rest] = argument
    if (first === undefined)
      throw badArgument('EXPLAIN ROUTE', 'EXPLAIN ROUTE takes SQL, or FOR and the id of a client.')
    if (first.kind === 'word' && first.value === 'for' && second?.kind === 'number' && rest.length === 0) {
      const wanted = Number(second.value)
      return (context) => rowsOf(FIELDS, ofClient(context, wanted))
    }
    const sql = first.kind === 'string' && second === undefined ? first.value : argument.map(textOf).join(' ')
    return (context) => rowsOf(FIELDS, ofStatement(context, sql))
  },
}

function ofClient({ control }: ReportContext, wanted: number): readonly RouteLine[] {
  const { clients } = control.memory
  const id = parseSlotId(wanted)
  const isThere = id !== null && id.slot < clients.count && clientId(clients, id.slot) === wanted
  const lines = isThere ? routeOfClient(control, id.slot) : null
  if (lines !== null) return lines
  throw new RouterError('22023', `No client has the id ${wanted} (any more).`, {
    origin: 'client',
    hint: 'SHOW CLIENTS prints the id of each client in its column "id".',
  })
}

function ofStatement({ control }: ReportContext, sql: string): readonly RouteLine[] {
  const { isRead, reason } = intentOf(sql, control.values().policy.routing)
  if (isRead) return routesByTier(control).map((line) => ({ ...line, reason: reason + line.reason }))
  const primaries = control.topology().shards.filter(({ role }) => role === 'primary')
  return primaries.map(({ name }) => ({
    tier: 'every',
    pool: '',
    shard: name,
    usable: true,
    reason: `runs on the primary of its group: ${reason}`,
  }))
}

/** As it may have been written. */
function textOf({ kind, value }: Token): string {
  if (kind === 'quoted') return `"${value.replaceAll('"', '""')}"`
  return kind === 'string' ? `'${value.replaceAll("'", "''")}'` : value
}
