import { readdirSync } from 'node:fs'
import { setPriority } from 'node:os'
import { cpuMeans, HELD_SLICE_US, type NiceOutcome, setCpuNice } from './cpu-share.ts'
import { setTimeSlice } from './time-slice.ts'

/** The niceness of all threads of a process of this machine from now on, 0 to 19, by whatever means the kernel has here. */
export function setProcessNice(pid: number, nice: number): NiceOutcome {
  const means = cpuMeans(pid)
  if (means.kind !== 'process') return setCpuNice(means, pid, nice)
  // Those that a thread starts later are as nice as it is then.
  const outcomes = threadsOf(pid).map((thread) => setCpuNice(means, thread, nice))
  return outcomes.find((outcome) => outcome !== 'done' && outcome !== 'gone') ?? outcomes[0] ?? 'gone'
}

/**
 * The niceness of all threads of the process `pid` that there are now but its first one: V8's, which compile and collect garbage beside
 * it and want the same processors. They let others in as soon as those wake up, too. What cannot be changed stays as it is.
 */
export function setHelpersNice(pid: number, nice: number): void {
  for (const thread of threadsOf(pid)) {
    if (thread === pid) continue
    try {
      setPriority(thread, nice)
      setTimeSlice(thread, HELD_SLICE_US)
    } catch {
      // It has ended meanwhile, or may not be made less nice than it is.
    }
  }
}

function threadsOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number)
  } catch {
    return []
  }
}
