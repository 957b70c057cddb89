import { flushCompileCache } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import { returnFreeMemory } from '../io/free-memory.ts'
import { dieWithParent, outliveParent } from '../io/process-limits.ts'
import { setHelpersNice, setProcessNice } from '../io/process-share.ts'
import { SHORTEST_SLICE_US, setAhead, setTimeSlice } from '../io/time-slice.ts'
import { cheapMonotonicClock } from '../util/monotonic-clock.ts'
import { nodeHeap } from '../util/node-heap.ts'
import { readCrash } from './crash.ts'
import { restartKeeper } from './keeper-restart.ts'

/** Where the keeper puts a child's inheritance. */
const CHANNEL_FD = 3
const MEMORY_FD = 4
const LOCK_FD = 5

const BOW_OUT_MS = 500
const LEAST_URGENT = 19
/**
 * A third of the share of the thread that serves, where both want the same processor. With a tenth nothing was compiled for ten seconds
 * on processors that were busy anyway, and a query cost three times as much.
 */
const HELPERS_NICE = 5

/**
 * A plane does the same few things for as long as it lives, so what is called often is compiled with all optimizations
 * sooner than V8 would by itself: after 8,000 queries, not 40,000. Flags that a version of V8 does not know are ignored.
 */
const COMPILE_SOON = ['--invocation-count-for-turbofan=600', '--minimum-invocations-after-ic-update=200']
/** The young generation is so small that the threads that help with it cost more than they do, and are waited for. */
const COLLECT_ALONE = '--no-parallel-scavenge'

export interface PlaneContext {
  readonly pid: number
  readonly parentPid: number
  readonly architecture: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly setTitle: (title: string) => void
}

/** `switchyard plane INDEX GENERATION RUN-DIRECTORY KEEPER-PID`, started by the keeper only. Does not return. */
export async function plane(parameters: readonly string[], context: PlaneContext): Promise<number> {
  const [index = '', generation = '', runDirectory = '', keeperPid = ''] = parameters
  context.setTitle(`switchyard: plane ${index} (standby)`)
  dieWithParent()
  // It died before the line above.
  if (context.parentPid !== Number(keeperPid)) return 1
  const { runPlane } = await import('../compose-plane.ts')
  const { PostgresParser } = await import('../sql/postgres-parser.ts')
  // V8 takes what it has compiled before from the cache only under the flags under which it was put there.
  flushCompileCache()
  for (const flag of [...COMPILE_SOON, COLLECT_ALONE]) setFlagsFromString(flag)
  // Nothing asynchronous happens any more once the plane runs.
  const parser = await PostgresParser.load()
  return runPlane({
    planeIndex: Number(index),
    generation: Number(generation),
    channelFd: CHANNEL_FD,
    memoryFd: MEMORY_FD,
    runDirectory,
    architecture: context.architecture,
    pid: context.pid,
    clock: cheapMonotonicClock(),
    crash: readCrash(context.environment.SWITCHYARD_CRASH, () => process.kill(process.pid, 'SIGKILL')),
    rehearses: context.environment.SWITCHYARD_REHEARSAL !== 'off',
    useRing: context.environment.SWITCHYARD_IO_URING !== 'off',
    useHugePages: context.environment.SWITCHYARD_HUGE_PAGES !== 'off',
    heap: nodeHeap(returnFreeMemory),
    parser,
    onActive: () => {
      // Its clients outlive a keeper as well.
      outliveParent()
      // It does little for each of many who wait for it; not on standby, where it compiles.
      setTimeSlice(0, SHORTEST_SLICE_US)
      // A take-over makes V8 compile much anew, with four threads, and everybody waits for the fifth.
      setHelpersNice(context.pid, HELPERS_NICE)
      context.setTitle(`switchyard: plane ${index}`)
    },
    onReplaced: () => {
      context.setTitle(`switchyard: plane ${index} (replaced)`)
      // Its end costs tens of milliseconds of a processor, which its successor needs first. The keeper may end it before.
      setAhead(false)
      const never = new Int32Array(new SharedArrayBuffer(4))
      Atomics.wait(never, 0, 0, BOW_OUT_MS)
      setProcessNice(context.pid, LEAST_URGENT)
    },
    lockFd: LOCK_FD,
    restartKeeper: () => void restartKeeper(runDirectory, context.environment),
  })
}
