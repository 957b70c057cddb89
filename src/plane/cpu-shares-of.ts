import { isOnlyReading } from '../client/run-again.ts'
import { cpuMeans, holdBack, worksIn } from '../io/cpu-share.ts'
import { ParallelWorkers } from '../io/parallel-workers.ts'
import { setAhead, threadCpuMs } from '../io/time-slice.ts'
import { SERVER } from '../memory/server-slots.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { LogFields, LogLevel } from '../server/server-host.ts'
import { CpuShares } from './cpu-shares.ts'
import { mayWaitForLock } from './lock-waiters.ts'
import type { Plane } from './plane.ts'
import { RunAhead } from './run-ahead.ts'

/** What has no answer after so many milliseconds may wait for a lock. */
const LOCK_WAIT_MS = 20

/** The CPU shares of what the clients of `plane` ask. */
export function cpuSharesOf(plane: Plane): CpuShares {
  const workers = new ParallelWorkers()
  const { timers, servers } = plane
  const slotOf = ({ slot }: ServerConnection): number => slot * (servers.recordBytes >> 2)
  const niceOf = (tier: number): number => plane.values.policy.tiers[tier]?.nice ?? 0
  const log = (level: LogLevel, message: string, fields: LogFields): void => plane.log(level, message, fields)
  const ahead = new RunAhead({
    timers,
    get now() {
      return plane.now
    },
    get cpuMs() {
      return threadCpuMs()
    },
    setAhead,
    log,
  })
  return new CpuShares(
    {
      timers,
      get now() {
        return plane.now
      },
      niceOf,
      hasWorkers: (tier) => plane.values.policy.tiers[tier]?.isSerial !== true,
      readingMs: (server) => {
        const slot = (servers.i32[slotOf(server) + SERVER.client] ?? 0) - 1
        const session = plane.sessions.at(slot)
        return session !== null && isOnlyReading(session, server, plane.opinion)
          ? plane.sessions.queryMs(slot, plane.now)
          : -1
      },
      isAwaited: (shard, nice) =>
        mayWaitForLock(plane, { shard, before: plane.now - LOCK_WAIT_MS, isAhead: (tier) => niceOf(tier) < nice }),
      nicenessOf: (server) => servers.i32[slotOf(server) + SERVER.niceness] ?? 0,
      noteNiceness: (server, nice) => {
        servers.i32[slotOf(server) + SERVER.niceness] = nice
      },
      held: () => ahead.held(),
      log,
    },
    { means: cpuMeans, worksIn, setNice: holdBack, workersOf: (pid) => workers.of(pid) },
  )
}
