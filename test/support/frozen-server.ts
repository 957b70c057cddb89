import { readFileSync } from 'node:fs'

/**
 * Stops a PostgreSQL server in the middle of whatever it does, backends included: it takes connections, because the kernel
 * does, and answers nobody. Returns what lets it go on. Only for servers that the test started.
 */
export function freezeServer(postmaster: number): () => void {
  const stopped: number[] = []
  const stop = (pid: number): void => {
    try {
      process.kill(pid, 'SIGSTOP')
      stopped.push(pid)
    } catch {
      // It has just ended.
    }
  }
  // First the one that makes the others.
  stop(postmaster)
  for (const pid of childrenOf(postmaster)) stop(pid)
  let isFrozen = true
  return () => {
    if (!isFrozen) return
    isFrozen = false
    for (const pid of stopped.reverse()) process.kill(pid, 'SIGCONT')
  }
}

function childrenOf(pid: number): readonly number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim()
  return text === '' ? [] : text.split(' ').map(Number)
}
