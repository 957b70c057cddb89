import { isOnlyReading } from '../client/run-again.ts'
import { cpuMeans, holdBack, worksIn } from '../io/cpu-share.ts'
import { ParallelWorkers } from '../io/parallel-workers.ts'
import { SERVER } from '../memory/server-slots.ts'
import { CpuShares } from './cpu-shares.ts'
import type { Plane } from './plane.ts'

/** The CPU shares of what the clients of `plane` ask. */
export function cpuSharesOf(plane: Plane): CpuShares {
  const workers = new ParallelWorkers()
  return new CpuShares(
    {
      timers: plane.timers,
      get now() {
        return plane.now
      },
      niceOf: (tier) => plane.values.policy.tiers[tier]?.nice ?? 0,
      readingMs: (server) => {
        const { i32, recordBytes } = plane.servers
        const slot = (i32[server.slot * (recordBytes >> 2) + SERVER.client] ?? 0) - 1
        const session = plane.sessions.at(slot)
        return session !== null && isOnlyReading(session, server, plane.opinion)
          ? plane.sessions.queryMs(slot, plane.now)
          : -1
      },
      log: (level, message, fields) => plane.log(level, message, fields),
    },
    { means: cpuMeans, worksIn, setNice: holdBack, workersOf: (pid) => workers.of(pid) },
  )
}
