import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What a server process has used since it began; NaN: not known. */
export interface ProcessUsage {
  readonly cpuMs: number
  /** Megabytes that it shares with nobody: neither shared buffers nor its program. */
  readonly memory: number
  /** Bytes from and to storage. */
  readonly readBytes: number
  readonly writtenBytes: number
}

/** Linux counts the CPU time of processes in hundredths of a second, whatever its own clock. */
const TICK_MS = 10
const PAGE_MB = 4096 / 2 ** 20
/** Fields of `/proc/PID/stat`, counted behind the name of the program: utime and stime. */
const USER_TIME = 11
const SYSTEM_TIME = 12

/**
 * What the process `pid` of this machine has used, from `/proc` (proc(5)); null: it is not a PostgreSQL server process of
 * this user and database, which is what another machine's process number means here. `proc`: for tests.
 */
export function readProcessUsage(
  pid: number,
  of: { readonly user: string; readonly database: string },
  proc = '/proc',
): ProcessUsage | null {
  const text = (file: string): string => {
    try {
      return readFileSync(join(proc, String(pid), file), 'utf8')
    } catch {
      // Gone meanwhile, or another user's.
      return ''
    }
  }
  const title = text('cmdline')
  if (!title.startsWith('postgres: ') || !title.includes(` ${of.user} ${of.database} `)) return null
  const stat = text('stat')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [, resident, shared] = text('statm').split(' ').map(Number)
  const io = text('io')
  return {
    cpuMs: TICK_MS * (Number(fields[USER_TIME]) + Number(fields[SYSTEM_TIME])),
    memory: PAGE_MB * ((resident ?? Number.NaN) - (shared ?? Number.NaN)),
    readBytes: numberIn(io, /^read_bytes: (\d+)$/m),
    writtenBytes: numberIn(io, /^write_bytes: (\d+)$/m),
  }
}

function numberIn(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? Number.NaN)
}
