import { readFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import { cpuMeans } from '../../src/io/cpu-share.ts'

/** What `io/cpu-share.ts` has made of a process's niceness; null: the kernel does not let us change it here, or the process is gone. */
export function nicenessOf(pid: number): number | null {
  try {
    const { kind } = cpuMeans(pid)
    if (kind === 'none' || kind === 'slice') return null
    if (kind === 'process') return getPriority(pid)
    return Number(/nice (-?\d+)/.exec(readFileSync(`/proc/${pid}/autogroup`, 'utf8'))?.[1])
  } catch {
    return null
  }
}
