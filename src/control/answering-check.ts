import pg from 'pg'
import type { ListeningPlace } from '../memory/keeper-control-protocol.ts'
import { dialable } from './welcome.ts'

const TRY_EVERY_MS = 50
const ATTEMPT_MS = 5_000

export interface CheckedLogin {
  readonly user: string
  readonly password: string
  readonly database: string
}

/**
 * Logs in through the router like any client and asks something, again until it is answered. Resolves with null, or with
 * the last reason when that has not come within `timeoutMs` or before `signal` was aborted.
 */
export async function untilAnswering(
  place: ListeningPlace,
  login: CheckedLogin,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<string | null> {
  const until = performance.now() + timeoutMs
  for (;;) {
    const failure = await askOnce(place, login)
    if (failure === null || signal.aborted || performance.now() > until) return failure
    await new Promise((resolve) => setTimeout(resolve, TRY_EVERY_MS))
  }
}

async function askOnce(place: ListeningPlace, login: CheckedLogin): Promise<string | null> {
  if (place.kind === 'unix') return null
  const client = new pg.Client({
    ...login,
    host: dialable(place.address),
    port: place.port,
    ssl: false,
    application_name: 'switchyard start',
    connectionTimeoutMillis: ATTEMPT_MS,
    query_timeout: ATTEMPT_MS,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('select 1')
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    await client.end().catch(() => {})
  }
}
