import { readdirSync } from 'node:fs'
import { cpuMeans, type NiceOutcome, setCpuNice } from './cpu-share.ts'

/** The niceness of all threads of a process of this machine from now on, 0 to 19, by whatever means the kernel has here. */
export function setProcessNice(pid: number, nice: number): NiceOutcome {
  const means = cpuMeans(pid)
  if (means.kind !== 'process') return setCpuNice(means, pid, nice)
  // Those that a thread starts later are as nice as it is then.
  const outcomes = threadsOf(pid).map((thread) => setCpuNice(means, thread, nice))
  return outcomes.find((outcome) => outcome !== 'done' && outcome !== 'gone') ?? outcomes[0] ?? 'gone'
}

function threadsOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number)
  } catch {
    return []
  }
}
