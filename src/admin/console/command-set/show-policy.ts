import type { SlotShare, TierPolicy } from '../../../shard/policy.ts'
import type { ShowCommand } from '../command.ts'
import { type Field, int4, int8, rowsOf, text } from '../table.ts'

const FIELDS: readonly Field<TierPolicy>[] = [
  text('tier', ({ tier }) => tier),
  text('pools', ({ pools }) => pools.join(', ')),
  text('consistency', ({ consistency }) => consistency),
  text('reserved', ({ reserved }) => shareText(reserved)),
  text('kept', ({ kept }) => shareText(kept)),
  text('max', ({ max }) => shareText(max)),
  int4('queue', ({ queue }) => queue),
  int8('queue_wait_ms', ({ queueWaitMs }) => queueWaitMs),
  int4('shed_order', ({ shedOrder }) => shedOrder),
  int8('query_ms', ({ queryMs }) => queryMs),
  int8('transaction_ms', ({ transactionMs }) => transactionMs),
  int4('nice', ({ nice }) => nice),
]

export const showPolicy: ShowCommand = {
  kind: 'show',
  name: 'SHOW POLICY',
  summary: 'What each tier may have, as the planes have been told.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, control.values().policy.tiers),
}

function shareText({ slots, percent }: SlotShare): string {
  return percent > 0 ? `${percent}%` : String(slots)
}
