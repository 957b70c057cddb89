import type { ServerConnection } from '../server/server-connection.ts'

/** A client that may have a query under way. */
export interface ReadingSession {
  readonly slot: number
  readonly server: ServerConnection | null
  readonly seat: { readonly tier: number }
}

/** Which reads are looked for. */
export interface ReadQuest<S> {
  /** Shard id. */
  readonly shard: number
  /** Codes of tiers, those first that are to be cancelled first. */
  readonly tiers: readonly number[]
  readonly longerThanMs: number
  /** For how long the present query of a client has run; −1: it has none. */
  readonly runningMs: (slot: number) => number
  /** Whether what runs certainly does nothing but read, outside of a transaction. */
  readonly isOnlyReading: (session: S, server: ServerConnection) => boolean
}

/** A read under way. */
export interface FoundRead<S> {
  readonly session: S
  readonly server: ServerConnection
  readonly runningMs: number
}

/** The longest read of the first tier that has one; null: there is none. */
export function longestRead<S extends ReadingSession>(sessions: Iterable<S>, quest: ReadQuest<S>): FoundRead<S> | null {
  const { shard, tiers, longerThanMs } = quest
  const found = [...sessions].flatMap((session) => {
    const { server } = session
    const place = tiers.indexOf(session.seat.tier)
    if (server === null || place < 0 || server.target.shard.id !== shard || server.work.isCancelled) return []
    const runningMs = quest.runningMs(session.slot)
    return runningMs < longerThanMs ? [] : [{ session, server, runningMs, place }]
  })
  found.sort((one, other) => one.place - other.place || other.runningMs - one.runningMs)
  // Asked last, and of as few as possible: it takes PostgreSQL's parser.
  return found.find(({ session, server }) => quest.isOnlyReading(session, server)) ?? null
}
