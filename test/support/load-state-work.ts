import type { LoadClient } from './load-client.ts'
import { lockLedger } from './lock-ledger.ts'
import { readNotification } from './notification.ts'
import * as wire from './wire-frames.ts'
import { onlyValue } from './wire-message.ts'

/** Work that leaves something in the session which later work wants to find there, or depends on what it did before. */
export const stateWork = { ownWrites, listen, temporary, lock, sequence, sqlPrepare } as const

/** Turns for which a session lock is kept. */
const LOCK_TURNS = 5
/** So few that clients are in each other's way. */
const LOCKS = 2

/** What a client has written it reads, wherever that read runs. */
async function ownWrites(client: LoadClient, id: string): Promise<string | null> {
  await client.ask(`INSERT INTO entry VALUES ('${id}')`)
  const read = wire.extendedQuery('SELECT count(*) FROM entry WHERE id = $1', [id])
  const found = onlyValue(await client.timed('read of an own write', read, 1))
  return found === '1' ? null : `a client that had written ${id} found it ${found} times`
}

/** Notifications of its own channel come in the order in which they were sent, each once. */
async function listen(client: LoadClient, id: string): Promise<string | null> {
  const [number = '', turn = ''] = id.split(':')
  const channel = `load_${number}`
  if (!client.memory.has('channel')) {
    await client.ask(`LISTEN ${channel}`)
    client.memory.set('channel', channel)
  }
  const answer = [...(await client.ask(`NOTIFY ${channel}, '${turn}'`)), ...(await client.ask('SELECT 1'))]
  for (const heard of answer.filter(({ type }) => type === 'A').map(readNotification)) {
    const last = Number(client.memory.get('heard') ?? -1)
    client.memory.set('heard', heard.payload)
    if (heard.channel !== channel) return `who listens to ${channel} heard ${heard.channel}`
    if (Number(heard.payload) <= last) return `${channel} said ${heard.payload} behind ${last}`
  }
  return null
}

/** A temporary table has every row that was put there. */
async function temporary(client: LoadClient): Promise<string | null> {
  const rows = Number(client.memory.get('rows') ?? 0)
  if (rows === 0) await client.ask('CREATE TEMP TABLE IF NOT EXISTS mine (n int)')
  await client.ask(`INSERT INTO mine VALUES (${rows})`)
  client.memory.set('rows', String(rows + 1))
  const found = Number(onlyValue(await client.ask('SELECT count(*) FROM mine')))
  // Of one whose answer was an error nobody knows.
  return found >= rows + 1 ? null : `a temporary table of ${rows + 1} rows has ${found}`
}

/** A session lock is nobody else's while it is held, and is held until it is given up. */
async function lock(client: LoadClient, id: string): Promise<string | null> {
  const [number = 0, turn = 0] = id.split(':').map(Number)
  const key = number % LOCKS
  if (!client.memory.has('lock')) {
    const got = onlyValue(await client.ask(`SELECT pg_try_advisory_lock(77, ${key})`))
    if (got === 't') client.memory.set('lock', String(lockLedger.taken(key, performance.now())))
    return null
  }
  const asked = performance.now()
  const held = Number(
    onlyValue(
      await client.ask(
        `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objid = ${key}`,
      ),
    ),
  )
  if (held !== 1) return `a lock that was never given up is held ${held} times`
  lockLedger.seen(Number(client.memory.get('lock')), asked)
  if (turn % LOCK_TURNS === 0) {
    client.memory.delete('lock')
    await client.ask(`SELECT pg_advisory_unlock(77, ${key})`)
  }
  return null
}

/** What a sequence gave last is what the session is told that it gave last. */
async function sequence(client: LoadClient): Promise<string | null> {
  const given = onlyValue(await client.ask(`SELECT nextval('load_numbers')`))
  const last = onlyValue(await client.ask(`SELECT currval('load_numbers')`))
  return given === last ? null : `currval is ${last} behind nextval ${given}`
}

/** A statement that was prepared in SQL is there, and is the session's own. */
async function sqlPrepare(client: LoadClient, id: string): Promise<string | null> {
  const [number = ''] = id.split(':')
  if (!client.memory.has('statement')) {
    await client.ask(`PREPARE own (int) AS SELECT ${number} * 1000 + $1`)
    client.memory.set('statement', 'own')
  }
  const value = onlyValue(await client.ask('EXECUTE own(7)'))
  return value === String(Number(number) * 1000 + 7) ? null : `the statement of ${number} answered ${value}`
}
