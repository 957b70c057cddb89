import type { ProfileView } from '../../../analyzer/profile-report.ts'
import { TIERS, type Tier, tierCode } from '../../../shard/tier.ts'
import { profilesOf } from '../../analyzer-report.ts'
import type { RouterControl } from '../../router-control.ts'
import type { ShowCommand } from '../command.ts'
import { type Field, int4, rowsOf, text } from '../table.ts'

interface Item {
  readonly tier: Tier
  readonly profiles: readonly ProfileView[]
  readonly proposed: number
  readonly mode: string
  readonly model: string
  readonly drift: string
  readonly adjusted: string
}

const by =
  (source: ProfileView['source']) =>
  ({ profiles }: Item): number =>
    profiles.filter((profile) => profile.source === source).length

const FIELDS: readonly Field<Item>[] = [
  text('tier', ({ tier }) => tier),
  int4('clients', ({ profiles }) => profiles.length),
  int4('by_rule', by('rule')),
  int4('by_hint', by('hint')),
  int4('by_model', by('model')),
  int4('by_identity', by('identity')),
  int4('by_default', by('default')),
  int4('by_runaway', by('runaway')),
  int4('proposed', ({ proposed }) => proposed),
  text('mode', ({ mode }) => mode),
  text('model', ({ model }) => model),
  text('drift', ({ drift }) => drift),
  text('adjusted', ({ adjusted }) => (adjusted === '' ? null : adjusted)),
]

export const showTiers: ShowCommand = {
  kind: 'show',
  name: 'SHOW TIERS',
  summary:
    'One row per tier: its clients by who decided, how many the model would have there, the model and its drift.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, items(control)),
}

function items(control: RouterControl): readonly Item[] {
  const all = [...profilesOf(control)]
  const { model, drift } = control.analyzer()
  const shared = {
    mode: control.values().analyzer.mode,
    model: model?.hash.slice(0, 8) ?? '',
    drift: drift.state,
  }
  return TIERS.map((tier) => ({
    tier,
    profiles: all.filter((profile) => profile.tier === tier),
    proposed: all.filter((profile) => profile.proposed === tier).length,
    adjusted: adjusted(control, tierCode(tier)),
    ...shared,
  }))
}

/** Where the tier has less than the policy says, or what is reserved for it is not lent: "db1: at most 2". */
function adjusted(control: RouterControl, tier: number): string {
  const parts = control.topology().shards.flatMap(({ name, adjustment }) => {
    if (adjustment === null) return []
    const most = adjustment.most[tier] ?? null
    if (most !== null) return [`${name}: at most ${most}`]
    return adjustment.keepsReserved[tier] === true ? [`${name}: protected`] : []
  })
  return parts.join(', ')
}
