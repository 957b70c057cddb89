import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import pg from 'pg'
import { descendants, isRunning, type ProcessIdentity } from '../support/process-usage.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { waitUntil, within } from '../support/wait-until.ts'

const root = join(import.meta.dirname, '../..')
const directory = temporaryDirectory()
// Started by root, the servers belong to another account.
chmodSync(directory, 0o755)

interface Started {
  readonly npm: ChildProcess
  /** What it says before it is ready, and how to connect. */
  readonly output: string
  /** Everything but the servers' own children. */
  readonly routers: readonly ProcessIdentity[]
  readonly servers: readonly ProcessIdentity[]
  /** Rows of a query, over the URL that was printed. */
  query(sql: string, login?: { readonly user: string; readonly password: string }): Promise<unknown[]>
}

async function start(...flags: readonly string[]): Promise<Started> {
  const npm = spawn('npm', ['start', '--prefix', root, '--', '--data', join(directory, 'data'), ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, SWITCHYARD_PORT: '0', SWITCHYARD_HTTP_PORT: '0' },
  })
  let output = ''
  let log = ''
  npm.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  npm.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  try {
    await waitUntil('the router to be ready', () => /^Stop: .*\n/m.test(output), { timeoutMs: 60_000 })
  } catch (error) {
    throw new Error(`npm start said:\n${output}${log}`, { cause: error })
  }
  const found = descendants(npm.pid ?? 0)
  return {
    npm,
    output,
    routers: found.filter(({ command }) => command.startsWith('switchyard: ')),
    servers: serversAmong(found),
    async query(sql, login = undefined) {
      const url = /^Connect:\n {2}(postgresql:\S+)$/m.exec(output)?.[1] ?? ''
      const client = new pg.Client(
        login === undefined ? url : url.replace(/\/\/.*@/, `//${login.user}:${login.password}@`),
      )
      await client.connect()
      try {
        return (await client.query(sql)).rows
      } finally {
        await client.end()
      }
    },
  }
}

/** Of PostgreSQL; a process that one of them has just begun has its command line for a moment. */
function serversAmong(found: readonly ProcessIdentity[]): readonly ProcessIdentity[] {
  const directories = new Set<string>()
  return found.filter(({ command }) => {
    const directory = / -D (\S+)/.exec(command)?.[1]
    if (directory === undefined || directories.has(directory)) return false
    directories.add(directory)
    return true
  })
}

/** A signal to npm alone, as a service manager or a script would send it. */
async function end({ npm, routers }: Started, signal: NodeJS.Signals): Promise<void> {
  npm.kill(signal)
  const [code] = await within(20_000, 'npm to end', once(npm, 'exit'))
  assert.equal(code, 0)
  assert.deepEqual(routers.filter(isRunning), [])
}

test('npm start: a cluster and the router before it, which a second start finds again', async (t) => {
  const first = await start('--keep-shards')
  t.after(() => {
    // Whatever has gone wrong: none of them may outlive the test, which would wait for it.
    first.npm.kill('SIGTERM')
    for (const { pid } of first.servers.filter(isRunning)) process.kill(pid, 'SIGQUIT')
  })
  assert.match(first.output, /^Cluster: .*, created: shard-1 \(primary, .*shard-2 \(replica, .*shard-3 \(replica, /m)
  for (const line of [/^Admin: +http:/m, /^Data: +\//m, /^Log: +\//m, /^Console:\n {2}postgresql:\S+\/switchyard$/m])
    assert.match(first.output, line)
  assert.equal(first.servers.length, 3)
  await first.query(`CREATE ROLE clerk LOGIN PASSWORD 'secret'; CREATE TABLE ledger AS SELECT 'kept' AS entry`)
  const clerk = { user: 'clerk', password: 'secret' }
  assert.deepEqual(await first.query('SELECT current_user AS name', clerk), [{ name: 'clerk' }])
  await assert.rejects(first.query('SELECT 1', { ...clerk, password: 'wrong' }), { code: '28P01' })
  await end(first, 'SIGTERM')
  assert.deepEqual(first.servers.filter(isRunning), first.servers)

  const second = await start()
  assert.match(second.output, /^Cluster: .*, found running: /m)
  assert.deepEqual(await second.query('SELECT entry FROM ledger'), [{ entry: 'kept' }])
  await end(second, 'SIGINT')
  assert.deepEqual(first.servers.filter(isRunning), [])
})
