import { type LoadClient, LoadFailure } from './load-client.ts'
import { stateWork } from './load-state-work.ts'
import * as wire from './wire-frames.ts'
import { onlyValue } from './wire-message.ts'

export const ACCOUNTS = 50
export const BALANCE = 1000

/** Does its work once; returns what is wrong with an answer, null: nothing. Throws LoadFailure for an error. */
export type Work = (client: LoadClient, id: string) => Promise<string | null>

const plainWork = { simple, prepared, transfer, read, pipeline, copy, settings } as const

/** What clients of a load do, by name. None leaves a transaction open. */
export const loadWork: Readonly<Record<LoadKind, Work>> = { ...plainWork, ...stateWork }
export type LoadKind = keyof typeof plainWork | keyof typeof stateWork

async function simple(client: LoadClient, id: string): Promise<null> {
  await client.ask(`INSERT INTO entry VALUES ('${id}')`)
  return null
}

async function prepared(client: LoadClient, id: string): Promise<null> {
  const parse = client.memory.has('prepared') ? [] : [wire.parse('insert', 'INSERT INTO entry VALUES ($1)')]
  const frames = [...parse, wire.bind('', 'insert', [id]), wire.execute(''), wire.sync()]
  await client.timed('prepared insert', Buffer.concat(frames), 1)
  client.memory.set('prepared', 'insert')
  return null
}

async function transfer(client: LoadClient, id: string): Promise<string | null> {
  const [from, to] = accountsOf(id)
  try {
    await client.ask('BEGIN')
    await client.ask(`UPDATE account SET balance = balance - 1 WHERE id = ${from}`)
    await client.ask(`UPDATE account SET balance = balance + 1 WHERE id = ${to}`)
    await client.ask(`INSERT INTO entry VALUES ('${id}')`)
    const tag = (await client.ask('COMMIT')).find(({ type }) => type === 'C')?.strings[0]
    return tag === 'COMMIT' ? null : `a COMMIT without an error before it was answered with ${tag}`
  } catch (error) {
    if (error instanceof LoadFailure) await client.wire.query('ROLLBACK')
    throw error
  }
}

async function read(client: LoadClient): Promise<string | null> {
  const total = onlyValue(await client.timed('read', wire.extendedQuery('SELECT sum(balance) FROM account'), 1))
  return Number(total) === ACCOUNTS * BALANCE ? null : `a read found ${total} in all accounts`
}

async function pipeline(client: LoadClient, id: string): Promise<string | null> {
  const frames = [
    wire.extendedQuery('SELECT $1::text', [id]),
    wire.extendedQuery('INSERT INTO entry VALUES ($1)', [id]),
    wire.extendedQuery('SELECT $1::text', [`${id}!`]),
  ]
  const answer = await client.timed('pipeline', Buffer.concat(frames), 3)
  const values = answer.filter(({ type }) => type === 'D').map((message) => message.row[0])
  return values.join() === [id, `${id}!`].join() ? null : `a pipeline answered ${values.join()} to ${id}`
}

async function copy(client: LoadClient, id: string): Promise<null> {
  const began = performance.now()
  client.wire.send(wire.query('COPY entry FROM STDIN'), wire.copyData(`${id}\n`), wire.copyDone())
  client.judge('COPY', await client.wire.until('Z'), began)
  return null
}

async function settings(client: LoadClient, id: string): Promise<string | null> {
  const shown = onlyValue(
    await client.ask(`SELECT current_setting('search_path') || current_setting('app.load', true)`),
  )
  const before = client.memory.get('settings')
  const wanted = before === undefined ? shown : `public${before}`
  await client.ask('SET search_path = public')
  await client.ask(`SET app.load = '${id}'`)
  client.memory.set('settings', id)
  return shown === wanted ? null : `a session of ${wanted} had ${shown}`
}

function accountsOf(id: string): [number, number] {
  const [client = 0, turn = 0] = id.split(':').map(Number)
  const from = 1 + ((client * 7 + turn) % ACCOUNTS)
  const to = 1 + ((client * 13 + turn * 3 + 1) % ACCOUNTS)
  // Always the lower one first: transfers wait for each other, and never in a circle.
  return from === to ? [from, (to % ACCOUNTS) + 1] : from < to ? [from, to] : [to, from]
}
