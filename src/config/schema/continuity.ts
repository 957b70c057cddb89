import { duration } from '../duration.ts'
import { optional, setting, table } from '../key.ts'
import { path } from '../referenced-file.ts'
import { size } from '../size.ts'
import { choice, integer } from '../value-type.ts'

export const operations = table(
  'operations',
  'RESTART, SWITCHOVER, PATCH and DRAIN of shards, as commands of the console (see docs/continuity.md).',
  {
    drain: setting(duration(0, 3_600_000), {
      default: '5s',
      doc:
        'Time for transactions on a shard to end before it is stopped; then they are cut off. New ones wait meanwhile, ' +
        'so it is also how long one transaction can keep the others waiting.',
    }),
    hook: optional(path, {
      example: '/usr/local/bin/switchyard-hook',
      doc: 'Program that does the server’s part for shards without `data_directory`.',
    }),
    hook_timeout: setting(duration(100, 3_600_000), {
      default: '10m',
      doc: 'A run of the hook that takes longer is ended, and the operation fails.',
    }),
  },
)

export const replay = table(
  'replay',
  'Transactions and reads that are run again when a server connection is lost, in tiers whose `replay` is on.',
  {
    size: setting(size(2048, 65_536), {
      default: '32kB',
      doc: 'A transaction in which the client has sent more than this is not run again.',
    }),
    results: setting(size(0, 1_073_741_824), {
      default: '256kB',
      doc: 'Nor one, or a read, of which the client has got more than this: so much is summed, and read once more.',
    }),
    age: setting(duration(100, 86_400_000), {
      default: '1m',
      doc: 'Nor a transaction that has been open for longer.',
    }),
  },
)

export const failover = table('failover', 'What happens when a primary is lost.', {
  mode: setting(choice('follow', 'local'), {
    default: 'follow',
    doc:
      '`follow`: another system promotes a replica (Patroni, a cloud, a person), and clients are sent there as soon as it ' +
      'says that it is the primary. `local`: Switchyard promotes the best replica itself, in groups whose shards all have ' +
      'a `data_directory`. Never `local` where anything else may promote as well.',
  }),
  refusals: setting(integer(1, 100), {
    default: 3,
    doc: 'So many connections in a row that the primary refuses, or does not answer in time, confirm that it is lost.',
  }),
  pause: setting(duration(1, 60_000), {
    default: '30ms',
    doc: 'Time from one of these connections to the next.',
  }),
})
