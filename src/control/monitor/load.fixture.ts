import { type LoadAnswer, type LoadSample, readLoad } from './load-sample.ts'

/** For tests: what a shard that does nothing says of itself. */
export const IDLE_ANSWER: LoadAnswer = {
  sessions: {
    ...{ active: 0, idle: 0, inTransaction: 0, hidden: 0, oldest: 0 },
    ...{ none: 0, lock: 0, lwlock: 0, io: 0, client: 0, other: 0 },
  },
  totals: {
    ...{ commits: 0, rollbacks: 0, blocksRead: 0, blocksHit: 0, tuplesReturned: 0, tuplesWritten: 0 },
    ...{ tempBytes: 0, deadlocks: 0, conflicts: 0, activeMs: 0 },
  },
  files: { reads: 0, writes: 0 },
  maxConnections: 97,
  wal: 1000,
  unreplayed: null,
  delay: null,
}

/** For tests: the sample of such a shard, with changes. */
export function loadSample(changes: Partial<LoadSample> = {}): LoadSample {
  return { ...readLoad(IDLE_ANSWER, 0, 2), ...changes }
}
