import { createConnection } from 'node:net'
import pg from 'pg'
import type { ListeningPlace } from '../memory/keeper-control-protocol.ts'
import { dialable } from './welcome.ts'

const TRY_EVERY_MS = 50
const ATTEMPT_MS = 5_000

/** Who logs in through the router to see that it answers. */
export interface CheckedLogin {
  readonly user: string
  readonly password: string
  readonly database: string
}

/**
 * Connects to the router like any client and, with a `login`, logs in and asks something; again until it is answered.
 * Resolves with null, or with the last reason when that has not come within `timeoutMs` or before `signal` was aborted.
 */
export async function untilAnswering(
  place: ListeningPlace,
  login: CheckedLogin | null,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<string | null> {
  const until = performance.now() + timeoutMs
  for (;;) {
    const failure = login === null || place.kind === 'unix' ? await greet(place) : await logIn(place, login)
    if (failure === null || signal.aborted || performance.now() > until) return failure
    await new Promise((resolve) => setTimeout(resolve, TRY_EVERY_MS))
  }
}

/** SSLRequest: every state of affairs in which clients are served answers it with one byte. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])

function greet(place: ListeningPlace): Promise<string | null> {
  return new Promise((resolve) => {
    const socket =
      place.kind === 'unix' ? createConnection(place.path) : createConnection(place.port, dialable(place.address))
    const end = (failure: string | null): void => {
      socket.destroy()
      resolve(failure)
    }
    socket.setTimeout(ATTEMPT_MS, () => end('no answer'))
    socket.once('connect', () => socket.write(SSL_REQUEST))
    socket.once('data', () => end(null))
    socket.once('error', (error) => end(error.message))
    socket.once('end', () => end('the connection was closed'))
  })
}

async function logIn(place: Extract<ListeningPlace, { kind: 'tcp' }>, login: CheckedLogin): Promise<string | null> {
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
