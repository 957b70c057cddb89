/**
 * The lock file of a running server, `postmaster.pid`.
 * Format: https://github.com/postgres/postgres/blob/REL_18_STABLE/src/include/utils/pidfile.h
 */
export interface PostmasterFile {
  readonly pid: number
  readonly dataDirectory: string
  /** 0 until the server has written the line. */
  readonly port: number
  readonly socketDirectory: string
  /** `unknown`: the line is not there yet. `standby` is a replica that does not take queries yet. */
  readonly status: 'starting' | 'stopping' | 'ready' | 'standby' | 'unknown'
}

const statuses = ['starting', 'stopping', 'ready', 'standby'] as const

/** Reads the text of a `postmaster.pid`; null when it is garbage. The server writes it line by line, so lines may lack. */
export function parsePostmasterFile(text: string): PostmasterFile | null {
  const lines = text.split('\n')
  // A stand-alone backend (initdb, --single) writes its pid negated.
  const pid = Math.abs(Number(lines[0]))
  const dataDirectory = lines[1] ?? ''
  if (!Number.isSafeInteger(pid) || pid <= 1 || !dataDirectory.startsWith('/')) return null
  const port = Number(lines[3] ?? '')
  const status = (lines[7] ?? '').trim()
  return {
    pid,
    dataDirectory,
    port: Number.isInteger(port) && port > 0 && port < 65536 ? port : 0,
    socketDirectory: lines[4] ?? '',
    status: statuses.find((known) => known === status) ?? 'unknown',
  }
}
