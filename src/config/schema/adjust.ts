import { duration } from '../duration.ts'
import { setting, table } from '../key.ts'
import { choice } from '../value-type.ts'
import { limitDuration } from './names.ts'

export const adjust = table(
  'adjust',
  'What is taken from lower tiers on a shard while a higher one waits longer than its objective (`high`, `medium`, … of ' +
    '`[scaling]`), or works on a server that is overloaded: step by step, and given back when it is calm again.',
  {
    mode: setting(choice('off', 'dry-run', 'on'), {
      default: 'on',
      doc: '`dry-run`: only tell what would be done (SHOW EVENTS). `off`: neither.',
    }),
    patience: setting(duration(500, 3_600_000), {
      default: '3s',
      doc: 'Time that it has to be too much before the next step is taken. Waits are those of the last two seconds.',
    }),
    calm: setting(duration(1000, 86_400_000), {
      default: '10s',
      doc:
        'Time that nobody has to wait for long before a step is given back; twice as long after a step that was given back ' +
        'too early, and so on.',
    }),
    cancel_reads: setting(limitDuration('no read is ever cancelled'), {
      default: 0,
      doc:
        'When tiers without an objective are down to one slot and it is still too much: reads of theirs that have run for ' +
        'longer than this are cancelled (SQLSTATE 57014), the lowest tier’s longest first, one in ten seconds.',
    }),
  },
)
