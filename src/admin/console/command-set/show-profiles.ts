import { FEATURE, type FeatureName } from '../../../analyzer/feature-schema.ts'
import { describeSource, type ProfileView } from '../../../analyzer/profile-report.ts'
import { profilesOf } from '../../analyzer-report.ts'
import type { RouterControl } from '../../router-control.ts'
import { clientId } from '../../slot-id.ts'
import type { ShowCommand } from '../command.ts'
import { bool, type Field, float8, int4, int8, rowsOf, text } from '../table.ts'

interface Item {
  readonly profile: ProfileView
  readonly id: number
}

const feature =
  (name: FeatureName, of: (value: number) => number) =>
  ({ profile }: Item): number | null => {
    const value = profile.features[FEATURE[name]] as number
    return Number.isNaN(value) ? null : Number(of(value).toPrecision(4))
  }
const likely =
  (tier: number) =>
  ({ profile }: Item): number | null =>
    profile.probabilities === null ? null : Number((profile.probabilities[tier] as number).toFixed(4))

const same = (value: number): number => value

const FIELDS: readonly Field<Item>[] = [
  int8('id', ({ id }) => id),
  text('user', ({ profile }) => profile.user),
  text('database', ({ profile }) => profile.database),
  text('application', ({ profile }) => profile.normalised),
  text('subnet', ({ profile }) => profile.subnet),
  text('tier', ({ profile }) => profile.tier),
  text('source', ({ profile }) => profile.source),
  text('why', ({ profile }) => describeSource(profile)),
  text('proposed', ({ profile }) => profile.proposed),
  text('rule', ({ profile }) => profile.rule),
  text('hint', ({ profile }) => profile.hint),
  float8('p_high', likely(0)),
  float8('p_medium', likely(1)),
  float8('p_low', likely(2)),
  float8('p_background', likely(3)),
  bool('identity_seen', ({ profile }) => profile.isIdentitySeen),
  bool('runaway', ({ profile }) => profile.isRunaway),
  int8('queries', ({ profile }) => profile.queries),
  int4('changes', ({ profile }) => profile.changes),
  float8('queries_per_s', feature('rateSlow', same)),
  float8('busy', feature('busySlow', same)),
  float8(
    'query_ms',
    feature('duration', (log) => 2 ** log),
  ),
  float8(
    'think_ms',
    feature('thinkTime', (log) => 2 ** log - 1),
  ),
  float8('superuser', feature('superuser', same)),
  float8('memberships', feature('memberships', same)),
  float8('backend_cpu', feature('backendCpu', same)),
  float8(
    'backend_mb',
    feature('backendMemory', (log) => 2 ** log),
  ),
  float8(
    'backend_read_kb_per_s',
    feature('backendRead', (log) => 2 ** log - 1),
  ),
  float8(
    'backend_write_kb_per_s',
    feature('backendWrite', (log) => 2 ** log - 1),
  ),
  text('model', ({ profile }) => profile.modelHash),
]

export const showProfiles: ShowCommand = {
  kind: 'show',
  name: 'SHOW PROFILES',
  summary: 'One row per client: its tier, who decided it, how likely each tier is to the model, and what it does.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, items(control)),
}

function* items(control: RouterControl): Generator<Item> {
  for (const profile of profilesOf(control)) yield { profile, id: clientId(control.memory.clients, profile.slot) }
}
