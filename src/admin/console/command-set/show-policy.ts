import type { SlotShare, TierPolicy, TierRule } from '../../../shard/policy.ts'
import { ruleClients, shareText } from '../../../shard/rule-text.ts'
import type { RouterControl } from '../../router-control.ts'
import type { ShowCommand } from '../command.ts'
import { type Field, int4, int8, rowsOf, text } from '../table.ts'

/** What a tier may have, or what a rule says instead: null where it says nothing. */
type Item = { readonly [K in keyof TierPolicy]?: TierPolicy[K] | null } & {
  readonly rule: number | null
  readonly clients: string | null
}

const FIELDS: readonly Field<Item>[] = [
  text('tier', ({ tier }) => tier ?? null),
  text('pools', ({ pools }) => pools?.join(', ') ?? null),
  text('consistency', ({ consistency }) => consistency ?? null),
  text('reserved', ({ reserved }) => share(reserved)),
  text('kept', ({ kept }) => share(kept)),
  text('max', ({ max }) => share(max)),
  int4('queue', ({ queue }) => queue ?? null),
  int8('queue_wait_ms', ({ queueWaitMs }) => queueWaitMs ?? null),
  int4('shed_order', ({ shedOrder }) => shedOrder ?? null),
  int8('query_ms', ({ queryMs }) => queryMs ?? null),
  int8('transaction_ms', ({ transactionMs }) => transactionMs ?? null),
  int4('nice', ({ nice }) => nice ?? null),
  text('parallel', ({ isSerial, rule }) => (rule === null ? (isSerial === true ? 'off' : 'on') : null)),
  int4('rule', ({ rule }) => rule),
  text('clients', ({ clients }) => clients),
]

export const showPolicy: ShowCommand = {
  kind: 'show',
  name: 'SHOW POLICY',
  summary: 'What each tier may have, and what rules say instead, as the planes have been told.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, itemsOf(control)),
}

function* itemsOf(control: RouterControl): Generator<Item> {
  const { tiers, rules } = control.values().policy
  for (const tier of tiers) yield { ...tier, rule: null, clients: null }
  for (const [place, rule] of rules.entries()) yield ofRule(rule, place + 1)
}

function ofRule(says: TierRule, rule: number): Item {
  return { ...says, rule, clients: ruleClients(says) }
}

function share(of: SlotShare | null | undefined): string | null {
  return of ? shareText(of) : null
}
