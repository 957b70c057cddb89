import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { LocalServer } from './local-servers.ts'
import { processStat } from './process-table.ts'
import { ShardClaims } from './shard-claims.ts'

const root = mkdtempSync(join(tmpdir(), 'switchyard-claims-'))
after(() => rmSync(root, { recursive: true }))

function server(name: string): LocalServer {
  const data = join(root, name, 'data')
  mkdirSync(data, { recursive: true })
  const directory = { name, root: join(root, name), data, log: data, logFile: join(data, 'log'), sockets: null }
  return { name, host: '127.0.0.1', port: 5432, directory, account: { uid: 0, gid: 0, switched: false } as never }
}

const files = (name: string): string[] => readdirSync(join(root, name)).sort()

test('claims of one process add up, and the last release frees', async () => {
  const servers = [server('b'), server('a')]
  const claims = new ShardClaims()
  const [one, other] = [await claims.claim(servers), await claims.claim(servers.slice(0, 1))]
  assert.ok(typeof one !== 'string' && typeof other !== 'string')
  assert.deepEqual(
    [files('a'), files('b')],
    [
      ['data', 'data.switchyard-lock'],
      ['data', 'data.switchyard-lock'],
    ],
  )
  await one.release()
  assert.deepEqual([files('a'), files('b')], [['data'], ['data', 'data.switchyard-lock']])
  await other.release()
  await one.release()
  assert.deepEqual(files('b'), ['data'])
})

test('what another process has is refused with its pid, and nothing else is kept', async () => {
  const servers = [server('c'), server('d')]
  const lock = join(root, 'd', 'data.switchyard-lock')
  writeFileSync(lock, `${process.ppid} ${processStat(process.ppid)?.startTicks}\n`)
  const claims = new ShardClaims()
  assert.match(String(await claims.claim(servers)), new RegExp(`d/data is managed by process ${process.ppid} already`))
  assert.deepEqual(files('c'), ['data'])
  rmSync(lock)
  assert.equal(typeof (await claims.claim(servers)), 'object')
})
