import type { Totals, TotalsSnapshot } from './database-totals.ts'

/** What `SHOW STATS` calls `avg_*`. Counts and bytes are per second, times are microseconds per event. */
export interface Averages {
  readonly serverAssignments: number
  readonly transactions: number
  readonly queries: number
  readonly bytesReceived: number
  readonly bytesSent: number
  readonly transactionTime: number
  readonly queryTime: number
  readonly waitTime: number
  readonly parses: number
  readonly binds: number
}

/** The averages of one database over the time between two snapshots. Totals that went back count as unchanged. */
export function averagesBetween(older: TotalsSnapshot, newer: TotalsSnapshot, database: string): Averages {
  const seconds = (newer.at - older.at) / 1000
  const before = older.databases.get(database)
  const now = newer.databases.get(database)
  const grown = (name: keyof Totals): number => Math.max(0, (now?.[name] ?? 0) - (before?.[name] ?? 0))
  const perSecond = (name: keyof Totals): number => (seconds > 0 ? Math.round(grown(name) / seconds) : 0)
  const microsecondsPer = (time: keyof Totals, events: keyof Totals): number =>
    grown(events) > 0 ? Math.round((grown(time) * 1000) / grown(events)) : 0
  return {
    serverAssignments: perSecond('serverAssignments'),
    transactions: perSecond('transactions'),
    queries: perSecond('queries'),
    bytesReceived: perSecond('bytesReceived'),
    bytesSent: perSecond('bytesSent'),
    transactionTime: microsecondsPer('transactionMs', 'transactions'),
    queryTime: microsecondsPer('queryMs', 'queries'),
    waitTime: microsecondsPer('waitMs', 'serverAssignments'),
    parses: perSecond('parseCount'),
    binds: perSecond('bindCount'),
  }
}
