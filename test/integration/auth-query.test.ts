import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import type { AuthQueryOptions, AuthQueryVerdict } from '../../src/control/accounts/auth-query.ts'
import { AuthQuery } from '../../src/control/accounts/auth-query.ts'
import type { AuthQueryEndpoint } from '../../src/control/accounts/auth-query-connection.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { TestCluster, uniqueName } from '../support/postgres-cluster.ts'
import { waitUntil } from '../support/wait-until.ts'

const catalogQuery = 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1 AND rolcanlogin'

let cluster: TestCluster
let proxy: FaultProxy
let database: string
let clockMs = 0
const opened: AuthQuery[] = []
const sequences: string[] = []

before(async () => {
  cluster = await TestCluster.open()
  database = await cluster.createDatabase()
  proxy = await FaultProxy.start(cluster.primary)
})
afterEach(async () => {
  await proxy.heal()
  for (const authQuery of opened.splice(0)) await authQuery.close()
  await waitUntil('every connection to be closed', () => proxy.open === 0)
})
after(async () => {
  await proxy.close()
  for (const sequence of sequences) await cluster.sql(`DROP SEQUENCE ${sequence}`)
  await cluster.close()
})

function open(options: Partial<AuthQueryOptions> = {}): AuthQuery {
  const authQuery = new AuthQuery({
    query: catalogQuery,
    user: cluster.superuser.user,
    password: cluster.superuser.password,
    database,
    tls: false,
    endpoint: () => proxy,
    timeoutMs: 2000,
    now: () => clockMs,
    cacheMs: 30_000,
    negativeCacheMs: 5000,
    staleMs: 600_000,
    cacheEntries: 100,
    maxWaiting: 100,
    ...options,
  })
  opened.push(authQuery)
  return authQuery
}

/** A query, for the database `postgres`, that knows every user and has another answer each time the server runs it. */
async function countingQuery(): Promise<{ query: string; calls: () => Promise<number> }> {
  const sequence = `public.${uniqueName('calls')}`
  await cluster.sql(`CREATE SEQUENCE ${sequence} MINVALUE 0`)
  sequences.push(sequence)
  return {
    query: `SELECT $1::text, 'md5' || md5(nextval('${sequence}')::text)`,
    calls: async () => {
      const [row] = await cluster.sql(`SELECT last_value + is_called::int AS calls FROM ${sequence}`)
      return Number(row?.calls)
    },
  }
}

/** A query whose answer is `expression`, hashed. */
function hashOf(expression: string, from = ''): string {
  return `SELECT $1::text, 'md5' || md5((${expression})::text) ${from}`
}

const md5 = (text: string) => `md5${createHash('md5').update(text).digest('hex')}`

async function errorOf(lookup: Promise<AuthQueryVerdict>): Promise<string> {
  const verdict = await lookup
  assert.ok(verdict.kind === 'error', JSON.stringify(verdict))
  assert.match(verdict.reason, /\.$/, 'a full sentence')
  return verdict.reason
}

async function hashFor(lookup: Promise<AuthQueryVerdict>): Promise<string> {
  const verdict = await lookup
  assert.ok(verdict.kind === 'found' && verdict.verifier?.kind === 'md5', JSON.stringify(verdict))
  assert.equal(verdict.outdated, null)
  return verdict.verifier.hash
}

async function ownBackends(name = database): Promise<unknown[]> {
  const backends = await cluster.backends(name)
  return backends.filter((backend) => backend.application_name === 'switchyard auth_query').map(({ pid }) => pid)
}

test('users are found with what the server stores, and nobody else is', async () => {
  const authQuery = open()
  const scram = await cluster.createRole()
  const old = await cluster.createRole({ passwordEncryption: 'md5' })
  const found = await authQuery.lookup(scram.user)
  assert.ok(found.kind === 'found' && found.verifier?.kind === 'scram-sha-256')
  assert.equal(found.name, scram.user)
  assert.ok((await cluster.storedPassword(scram.user)).includes(found.verifier.storedKey))
  assert.deepEqual(await authQuery.lookup(old.user), {
    kind: 'found',
    name: old.user,
    verifier: { kind: 'md5', hash: await cluster.storedPassword(old.user) },
    outdated: null,
  })
  assert.deepEqual(await authQuery.lookup('nobody at all'), { kind: 'not-found' })
  assert.deepEqual(await authQuery.lookup(`' OR true --`), { kind: 'not-found' })
})

test('an answer is used again for its time, at most a second after a failed login, and not after RELOAD', async () => {
  const { query, calls } = await countingQuery()
  const authQuery = open({ query, database: 'postgres' })
  const first = await hashFor(authQuery.lookup('app'))
  clockMs += 29_999
  assert.equal(await hashFor(authQuery.lookup('app')), first)
  clockMs += 1
  const second = await hashFor(authQuery.lookup('app'))
  assert.notEqual(second, first)
  clockMs += 999
  assert.equal(await hashFor(authQuery.refresh('app')), second)
  clockMs += 1
  const third = await hashFor(authQuery.refresh('app'))
  assert.notEqual(third, second)
  assert.equal(await hashFor(authQuery.lookup('app')), third, 'what was asked anew is what counts')
  authQuery.clear()
  assert.notEqual(await hashFor(authQuery.lookup('app')), third)
  assert.equal(await calls(), 4)
})

test('a user that was not found is asked about again after its own time, or after a failed login', async () => {
  const authQuery = open({ query: 'SELECT datname, NULL FROM pg_database WHERE datname = $1' })
  const name = uniqueName('late')
  assert.equal((await authQuery.lookup(name)).kind, 'not-found')
  await cluster.sql(`CREATE DATABASE ${name}`)
  try {
    clockMs += 4999
    assert.equal((await authQuery.lookup(name)).kind, 'not-found')
    assert.deepEqual(await authQuery.refresh(name), { kind: 'found', name, verifier: null, outdated: null })
    assert.equal((await authQuery.lookup(name)).kind, 'found')
  } finally {
    await cluster.sql(`DROP DATABASE ${name}`)
  }
})

test('the cache keeps the users looked at last', async () => {
  const { query, calls } = await countingQuery()
  const authQuery = open({ query, database: 'postgres', cacheEntries: 2 })
  for (const user of ['a', 'b', 'a', 'c', 'a']) await authQuery.lookup(user)
  assert.equal(await calls(), 3)
  await authQuery.lookup('b')
  assert.equal(await calls(), 4)
})

test('questions that come together are asked once a user, over one connection', async () => {
  const { query, calls } = await countingQuery()
  const authQuery = open({ query, database: 'postgres' })
  const before = proxy.accepted
  const users = Array.from({ length: 60 }, (_, index) => `user ${index % 20}`)
  const verdicts = await Promise.all(users.map((user) => authQuery.lookup(user)))
  assert.ok(verdicts.every((verdict, index) => verdict.kind === 'found' && verdict.name === users[index]))
  assert.equal(await calls(), 20)
  assert.equal(proxy.accepted - before, 1)
})

test('more users than may wait are told so at once', async () => {
  const authQuery = open({ query: hashOf('pg_sleep(0.1)'), maxWaiting: 2 })
  const waiting = [authQuery.lookup('a'), authQuery.lookup('b')]
  assert.match(await errorOf(authQuery.lookup('c')), /2 users already wait/)
  const joined = await authQuery.lookup('a')
  assert.equal(joined.kind, 'found', 'whoever asks what is being asked waits with the others')
  await Promise.all(waiting)
  assert.equal((await authQuery.lookup('c')).kind, 'found')
})

test('the search path is pg_catalog even where the role has another one', async () => {
  const { user, password } = await cluster.createRole()
  await cluster.sql(`ALTER ROLE ${user} SET search_path = public, pg_catalog`)
  const authQuery = open({ user, password, query: hashOf(`current_setting('search_path')`) })
  assert.equal(await hashFor(authQuery.lookup('app')), md5('pg_catalog'))
})

test('the connection is encrypted and checked where TLS is asked for', async () => {
  const query = hashOf('ssl', 'FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
  const trusted = open({ query, tls: { ca: cluster.coordinates.authority, servername: 'localhost' } })
  assert.equal(await hashFor(trusted.lookup('app')), md5('true'))
  const stranger = open({ query, tls: { servername: 'localhost' } })
  assert.match(await errorOf(stranger.lookup('app')), /certificate/)
})

test('a name that no role can have is not found without a question', async () => {
  const authQuery = open({ endpoint: () => null })
  assert.equal((await authQuery.lookup('x'.repeat(64))).kind, 'not-found')
  assert.equal((await authQuery.lookup('\u00e9'.repeat(32))).kind, 'not-found')
  assert.equal((await authQuery.lookup('a\0b')).kind, 'not-found')
  assert.equal((await authQuery.lookup('x'.repeat(63))).kind, 'error')
})

const failures: readonly (readonly [string, Partial<AuthQueryOptions>, RegExp])[] = [
  ['a query with a mistake', { query: 'SELEC $1' }, /^The authentication query failed: syntax error .*SQLSTATE 42601/],
  ['a query without a parameter', { query: 'SELECT 1, 2' }, /SQLSTATE 08P01/],
  ['a query without a result', { query: 'SET work_mem = 1000' }, /SQLSTATE 08P01|returns 0 column/],
  ['a query that returns all', { query: 'SELECT rolname, NULL FROM pg_roles WHERE $1 <> oid::text' }, /rows for user/],
  ['a query that takes too long', { query: hashOf('pg_sleep(60)'), timeoutMs: 200 }, /SQLSTATE 57014/],
]
for (const [name, options, sentence] of failures) {
  test(`${name} is an error that says why, and costs no connection`, async () => {
    const authQuery = open(options)
    const before = proxy.accepted
    assert.match(await errorOf(authQuery.lookup('app')), sentence)
    assert.match(await errorOf(authQuery.lookup('app')), sentence)
    assert.equal(proxy.accepted - before, 1)
  })
}

test('a role without rights or with another password is an error that says why', async () => {
  const { user, password } = await cluster.createRole()
  assert.match(await errorOf(open({ user, password }).lookup('app')), /permission denied .*SQLSTATE 42501/)
  const wrong = await errorOf(open({ user, password: 'wrong' }).lookup('app'))
  assert.match(wrong, /connecting to 127\.0\.0\.1:\d+ failed: password authentication failed/)
  const none = await errorOf(open({ user, password: null }).lookup('app'))
  assert.match(none, /client password must be a non-empty string/)
})

test('a connection that was lost while idle is replaced, and nobody notices', async () => {
  const authQuery = open({ cacheMs: 0 })
  const { user } = await cluster.createRole()
  assert.equal((await authQuery.lookup(user)).kind, 'found')
  const [pid] = await ownBackends()
  await cluster.sql('SELECT pg_terminate_backend($1)', [pid])
  assert.equal((await authQuery.lookup(user)).kind, 'found')
  assert.notDeepEqual(await ownBackends(), [pid])
  proxy.resetAll()
  assert.equal((await authQuery.lookup(user)).kind, 'found')
})

test('a question at which the server dies is asked again only where the connection was an old one', async () => {
  const authQuery = open({ query: hashOf('pg_terminate_backend(pg_backend_pid())'), cacheMs: 0 })
  const before = proxy.accepted
  assert.match(await errorOf(authQuery.lookup('app')), /terminat.*SQLSTATE 57P01/)
  assert.equal(proxy.accepted - before, 1)
  const dying = `CASE WHEN $1 = 'bad' THEN pg_terminate_backend(pg_backend_pid()) ELSE true END`
  const other = open({ query: hashOf(dying) })
  assert.equal((await other.lookup('good')).kind, 'found')
  assert.match(await errorOf(other.lookup('bad')), /terminat/)
  assert.equal(proxy.accepted - before, 3)
  assert.equal((await other.lookup('fine')).kind, 'found')
})

test('a server that does not answer is an error, or an older answer, and is forgotten', async () => {
  const authQuery = open({ timeoutMs: 200, staleMs: 60_000 })
  const { user } = await cluster.createRole()
  const known = await authQuery.lookup(user)
  clockMs += 40_000
  await proxy.inject({ kind: 'black-hole' })
  const stale = await authQuery.lookup(user)
  assert.ok(stale.kind === 'found')
  assert.match(stale.outdated ?? '', /read timeout/)
  assert.deepEqual({ ...stale, outdated: null }, known)
  assert.match(await errorOf(authQuery.lookup('unknown')), /connecting to .* failed: timeout expired/)
  clockMs += 20_000
  assert.match(await errorOf(authQuery.lookup(user)), /timeout expired/, 'too old by now')
  await proxy.heal()
  clockMs += 5000
  assert.deepEqual(await authQuery.lookup(user), known)
})

test('a server that refuses is tried less and less often, and at once when it is another one', async () => {
  let endpoint: AuthQueryEndpoint | null = proxy
  const authQuery = open({ endpoint: () => endpoint })
  await proxy.inject({ kind: 'refuse' })
  assert.match(await errorOf(authQuery.lookup('a')), /failed: connect ECONNREFUSED/)
  assert.match(await errorOf(authQuery.lookup('a')), /ECONNREFUSED.* due in 100 ms/)
  clockMs += 100
  assert.doesNotMatch(await errorOf(authQuery.lookup('a')), /due in/)
  assert.match(await errorOf(authQuery.lookup('a')), /due in 200 ms/)
  for (let attempt = 0; attempt < 8; attempt++) {
    clockMs += 5000
    assert.doesNotMatch(await errorOf(authQuery.lookup('a')), /due in/)
  }
  assert.match(await errorOf(authQuery.lookup('a')), /due in 5000 ms/)
  endpoint = null
  assert.match(await errorOf(authQuery.lookup('a')), /no shard is known to be the primary/)
  endpoint = cluster.primary
  assert.equal((await authQuery.lookup('a')).kind, 'not-found')
})

test('when the primary moves, the connection moves with it', async () => {
  let endpoint: AuthQueryEndpoint = proxy
  const authQuery = open({ endpoint: () => endpoint, negativeCacheMs: 0 })
  assert.equal((await authQuery.lookup('a')).kind, 'not-found')
  assert.equal(proxy.open, 1)
  endpoint = cluster.primary
  assert.equal((await authQuery.lookup('a')).kind, 'not-found')
  await waitUntil('the old connection to end', () => proxy.open === 0)
  await waitUntil('its backend to end', async () => (await ownBackends()).length === 1)
})

test('closing ends a question under way, and those that wait, with an error', async () => {
  const authQuery = open({ query: hashOf('pg_sleep(60)'), timeoutMs: 60_000 })
  const asked = authQuery.lookup('a')
  const waiting = authQuery.lookup('b')
  await waitUntil('the query to run', async () => (await ownBackends()).length === 1)
  const [pid] = await ownBackends()
  await authQuery.close()
  assert.match(await errorOf(asked), /authentication query/)
  assert.match(await errorOf(waiting), /it was closed/)
  assert.match(await errorOf(authQuery.lookup('c')), /it was closed/)
  // A sleeping backend notices the end of its connection only when it wakes up.
  await cluster.sql('SELECT pg_terminate_backend($1)', [pid])
})

test('closing ends an attempt to connect to a server that is silent', async () => {
  await proxy.inject({ kind: 'black-hole' })
  const authQuery = open({ timeoutMs: 60_000 })
  const before = proxy.accepted
  const asked = authQuery.lookup('a')
  await waitUntil('the attempt', () => proxy.accepted > before)
  await authQuery.close()
  assert.match(await errorOf(asked), /was closed/)
})
