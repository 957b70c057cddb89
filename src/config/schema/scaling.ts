import { duration } from '../duration.ts'
import { optional, setting, table } from '../key.ts'
import { path } from '../referenced-file.ts'
import { size } from '../size.ts'
import { choice, integer } from '../value-type.ts'

const objective = duration(0, 3_600_000, 'no objective')

export const scaling = table(
  'scaling',
  'Replicas that Switchyard adds when tiers wait too long, and takes away again: see docs/scaling.md. SCALE OUT and SCALE IN ' +
    'do the same by hand, whatever `mode` is.',
  {
    mode: setting(choice('off', 'advise', 'auto'), {
      default: 'off',
      doc:
        '`auto`: shards are added and taken away as the load wants it. `advise`: what would be done is told in the log ' +
        'and by SHOW SCALING, and nothing is done. `off`: neither.',
    }),
    driver: setting(choice('local', 'exec'), {
      default: 'local',
      doc:
        'Who makes servers. `local`: Switchyard, on this machine, as copies of a primary with a `data_directory`. `exec`: the ' +
        'program in `program`.',
    }),
    program: optional(path, {
      example: '/usr/local/bin/switchyard-scale',
      doc: 'Program of the driver `exec`: JSON in, JSON out, as docs/scaling.md says.',
    }),
    program_timeout: setting(duration(100, 3_600_000), {
      default: '10m',
      doc: 'A run of the program that takes longer is ended, and the operation fails.',
    }),
    ready_timeout: setting(duration(1000, 86_400_000), {
      default: '1h',
      doc: 'A new shard that does not answer, or has not caught up with its primary, after this time is given up.',
    }),
    directory: optional(path, {
      example: '/var/lib/postgresql/scaled',
      doc:
        'Where the driver `local` puts data directories. Beside the primary’s when that is one of Switchyard’s own, else ' +
        '`shards` in `data.directory`.',
    }),
    min_shards: setting(integer(0, 100), {
      default: 0,
      doc: 'A group, or a pool of `[[shard_pools]]` with names of shards, that has fewer gets more, whatever its load is.',
    }),
    max_shards: setting(integer(1, 100), {
      default: 6,
      doc: 'A group, or a pool of `[[shard_pools]]` with names of shards, never gets more than this.',
    }),
    high: setting(objective, {
      default: '5ms',
      doc: 'Of the transactions of tier `high`, 99 in 100 should wait no longer than this for their turn.',
    }),
    medium: setting(objective, { default: '50ms', doc: 'The same of tier `medium`.' }),
    low: setting(objective, { default: 0, doc: 'The same of tier `low`.' }),
    background: setting(objective, { default: 0, doc: 'The same of tier `background`.' }),
    sustain: setting(duration(1000, 86_400_000), {
      default: '10s',
      doc: 'An objective has to be missed for so long before a shard is added.',
    }),
    idle: setting(duration(1000, 86_400_000), {
      default: '5m',
      doc: 'One shard less has to be enough for so long before one is taken away.',
    }),
    cooldown_out: setting(duration(0, 86_400_000), {
      default: '1m',
      doc: 'Time from any change to the next shard that is added.',
    }),
    cooldown_in: setting(duration(0, 86_400_000), {
      default: '10m',
      doc: 'Time from any change to the next shard that is taken away.',
    }),
    shard_hours: setting(integer(0, 10_000, 'no cap'), {
      default: 0,
      doc: 'Hours that added shards may live in 24 hours, all together. Beyond them none is added by itself.',
    }),
    lag: setting(size(0, 1024 ** 4), {
      default: '16MB',
      doc: 'A new shard gets reads once it is no further behind its primary than this.',
    }),
    drain: setting(duration(0, 86_400_000), {
      default: '5m',
      doc: 'Time for what runs on a shard to end before the shard is taken away. New reads go elsewhere at once.',
    }),
  },
)
