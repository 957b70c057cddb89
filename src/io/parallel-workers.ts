import { readFileSync } from 'node:fs'

const TITLE = / parallel worker for PID (\d+)/

/**
 * Finds the parallel workers of backends of this machine by what PostgreSQL calls its processes (`update_process_title`). A look costs
 * one file, and one for each process of the server that was not there at the last look.
 */
export class ParallelWorkers {
  /** Processes that are none, by the server's first process. */
  readonly #others = new Map<number, Set<number>>()

  /** Those of the backend with this process id; none where that cannot be seen. */
  of(pid: number): readonly number[] {
    const server = parentOf(pid)
    if (server <= 1) return []
    const children = childrenOf(server)
    const known = this.#others.get(server)
    const others = new Set<number>()
    const workers: number[] = []
    for (const child of children) {
      const title = known?.has(child) === true ? null : titleOf(child)
      if (title === null || isOther(title)) others.add(child)
      else if (leaderOf(title) === pid) workers.push(child)
    }
    this.#others.set(server, others)
    return workers
  }
}

function titleOf(pid: number): string {
  return textOf(`/proc/${pid}/cmdline`)
}

/** One that has just begun has its parent's title, and may become anything. */
function isOther(title: string): boolean {
  return title.startsWith('postgres: ') && leaderOf(title) === 0
}

/** 0: it is no parallel worker. */
function leaderOf(title: string): number {
  return Number(TITLE.exec(title)?.[1] ?? 0)
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s*(\d+)$/m.exec(textOf(`/proc/${pid}/status`))?.[1] ?? 0)
}

function childrenOf(pid: number): readonly number[] {
  return textOf(`/proc/${pid}/task/${pid}/children`)
    .split(' ')
    .filter((each) => each !== '')
    .map(Number)
}

/** Empty: there is none, or it may not be read. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
