import { duration } from '../duration.ts'
import { setting, table } from '../key.ts'
import { size } from '../size.ts'
import { choice, integer, list } from '../value-type.ts'
import { limitDuration, postgresName } from './names.ts'

const tier = choice('high', 'medium', 'low', 'background')

export const analyzer = table(
  'analyzer',
  'How connections get their tiers (docs/analyzer.md). Rules are in `[[tiers.rules]]`.',
  {
    mode: setting(choice('off', 'shadow', 'enforce'), {
      default: 'shadow',
      doc:
        '`shadow`: the model’s verdict is shown and recorded, and only rules and hints count. `enforce`: the model counts. ' +
        '`off`: the model is not asked.',
    }),
    default_tier: setting(tier, { default: 'medium', doc: 'Tier of connections of which nothing else is known.' }),
    hints: setting(choice('on', 'off'), {
      default: 'on',
      doc:
        'Whether clients may say what they are: `SET switchyard.tier`, the same in the startup packet, or a comment ' +
        "`/*tier='low'*/` in the SQL. Everybody may ask for less.",
    }),
    raising_users: setting(list(postgresName, { allowed: 'an array of user names', single: true }), {
      default: [],
      example: ['checkout'],
      doc: 'Users whose hints may also raise a connection above what it would be.',
    }),
    evidence_queries: setting(integer(1, 10_000), {
      default: 16,
      doc: 'Queries after which the model may judge a user and application that it was not trained with.',
    }),
    runaway_elapsed: setting(limitDuration(), {
      default: 0,
      example: '5m',
      doc: 'A request that runs longer makes its client a runaway.',
    }),
    runaway_rows: setting(integer(0, 2_147_483_647, 'no limit'), {
      default: 0,
      example: 1_000_000,
      doc: 'A request that returns or changes more rows makes its client a runaway.',
    }),
    runaway_bytes: setting(size(0, 1_099_511_627_776), {
      default: 0,
      example: '1GB',
      doc: 'A request that moves more bytes makes its client a runaway. 0 is no limit.',
    }),
    runaway_action: setting(choice('dryrun', 'demote'), {
      default: 'dryrun',
      doc: '`dryrun`: runaways are counted and shown. `demote`: they get `runaway_tier` from their next transaction on.',
    }),
    runaway_tier: setting(tier, { default: 'low', doc: 'Tier of runaways that would have a higher one.' }),
    runaway_cooldown: setting(duration(1000, 86_400_000), {
      default: '5m',
      doc: 'How long a runaway stays one after its last request that was.',
    }),
    on_drift: setting(choice('warn', 'rules'), {
      default: 'warn',
      doc:
        'When what clients do has moved far from what the model was trained on. `warn`: say it in the log, in metrics and in ' +
        '`SHOW TIERS`. `rules`: and do not ask the model until that is over, or another one is promoted.',
    }),
    history_sample: setting(integer(0, 100, 'no history'), {
      default: 100,
      doc: 'Of how many in a hundred connections snapshots go into the history, which models are trained on.',
    }),
    history_size: setting(size(1_048_576, 1_099_511_627_776), {
      default: '256MB',
      doc: 'Most bytes of history in `data.directory`; the oldest files make room.',
    }),
    history_age: setting(limitDuration(), {
      default: '20d',
      doc: 'Files of the history are removed when they are older.',
    }),
  },
)
