import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { systemErrorCode } from './local-cluster-error.ts'
import { runProgram } from './run-program.ts'
import type { ServerAccount } from './server-account.ts'

/** What the kernel says of a process. */
export interface ProcessStat {
  /** The program's file name, at most 15 characters; process titles do not change it. */
  readonly command: string
  /** One letter of proc_pid_stat(5): `R`, `S`, `Z` … */
  readonly state: string
  /** Clock ticks since boot; with the pid it names a process for good, since pids are used again. */
  readonly startTicks: string
}

/** Parses `/proc/PID/stat`. The command may itself hold spaces and parentheses, so the last `)` ends it. */
export function parseProcessStat(text: string): ProcessStat | null {
  const open = text.indexOf('(')
  const close = text.lastIndexOf(')')
  const fields = text.slice(close + 2).split(' ')
  if (open < 0 || close < open || fields.length < 20) return null
  return { command: text.slice(open + 1, close), state: fields[0]!, startTicks: fields[19]! }
}

/** What the kernel says of a process; null when there is none. */
export function processStat(pid: number): ProcessStat | null {
  try {
    return parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === 'ENOENT' || code === 'ESRCH') return null
    throw error
  }
}

/**
 * True while the process can still do anything. A zombie cannot, though `kill(pid, 0)` succeeds on it: where process 1
 * does not reap (Node as a container's first process), a killed server stays one for good.
 */
export function isAlive(pid: number): boolean {
  const stat = processStat(pid)
  return stat !== null && stat.state !== 'Z' && stat.state !== 'X'
}

/**
 * The working directory of a process, null when it is gone. Root without CAP_SYS_PTRACE (the default in a container)
 * may not read that of another user's process, but the user may: then `account` is asked to.
 */
async function workingDirectory(pid: number, account: ServerAccount): Promise<string | null> {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === 'ENOENT' || code === 'ESRCH') return null
    if (code !== 'EACCES' && code !== 'EPERM') throw error
  }
  if (!account.switched) return null
  const answer = await runProgram('/bin/readlink', [`/proc/${pid}/cwd`], { account, timeoutMs: 5000 })
  return answer.status === 0 ? answer.stdout.replace(/\n$/, '') : null
}

/** True when `pid` is a living PostgreSQL process that works in `dataDirectory` (a real path, no symbolic links). */
export async function isServerProcess(pid: number, dataDirectory: string, account: ServerAccount): Promise<boolean> {
  const stat = processStat(pid)
  if (stat === null || stat.state === 'Z' || stat.state === 'X' || stat.command !== 'postgres') return false
  return (await workingDirectory(pid, account)) === dataDirectory
}

/**
 * Every living PostgreSQL process of a data directory: the postmaster and its children, also those that outlived it
 * (a busy backend goes on, and even commits, after its postmaster was killed).
 */
export async function serverProcesses(dataDirectory: string, account: ServerAccount): Promise<number[]> {
  const found: number[] = []
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (Number.isInteger(pid) && (await isServerProcess(pid, dataDirectory, account))) found.push(pid)
  }
  return found
}
