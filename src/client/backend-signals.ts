import type { ClientHost } from './client-host.ts'

const SIGNAL = /^select\s+(?:pg_catalog\.)?(pg_cancel_backend|pg_terminate_backend)\s*\(\s*(\d{10})\s*\)\s*;?\s*$/i

/**
 * A client that asks for `pg_cancel_backend` or `pg_terminate_backend` with the process id that another one of its user was
 * told at login, which is none of the shard's: it is done here, and this is the SELECT that the shard is sent instead. Null
 * for every other text, and for ids that are nobody's.
 */
export function signalAnswer(host: ClientHost, slot: number, text: string): string | null {
  const [, name, processId] = SIGNAL.exec(text) ?? []
  if (name === undefined) return null
  const what = name.toLowerCase()
  return host.signals.signalClient(slot, Number(processId), what === 'pg_terminate_backend')
    ? `SELECT true AS ${what}`
    : null
}
