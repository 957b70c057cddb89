import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type WelcomeFacts, welcomeText } from './welcome.ts'

const facts: WelcomeFacts = {
  version: '1.2.3',
  listening: [{ kind: 'tcp', address: '127.0.0.1', port: 6432 }],
  httpUrl: 'http://127.0.0.1:6480',
  dataDirectory: '/work/.switchyard',
  readyAfterMs: 4567,
  cluster: {
    home: '/work/.switchyard',
    created: true,
    postgresVersion: '18.4',
    superuser: 'postgres',
    password: 'p@ss/word',
    keepShards: false,
    shards: [{ name: 'shard-1', initialRole: 'primary', port: 7001, adopted: false, logFile: '/work/log' }],
  },
}

test('the connection string stands on a line of its own, usable as it is', () => {
  const lines = welcomeText(facts).split('\n')
  assert.ok(lines.includes('  postgresql://postgres:p%40ss%2Fword@127.0.0.1:6432/postgres'))
  assert.ok(lines.includes('  postgresql://postgres:p%40ss%2Fword@127.0.0.1:6432/switchyard'))
})

test('it says what was done, where things are, and how to stop', () => {
  const text = welcomeText(facts)
  assert.match(text, /^Switchyard 1\.2\.3 is ready \(4\.6 s\)\.$/m)
  assert.match(text, /PostgreSQL 18\.4, created: shard-1 \(primary, port 7001\)/)
  assert.match(text, /http:\/\/127\.0\.0\.1:6480/)
  assert.match(text, /\/work\/\.switchyard/)
  assert.match(text, /\/work\/log \(shard-1\)/)
  assert.match(text, /Ctrl-C; .*the shards stop too/)
})

test('it says where the shards are when that is not in the data directory', () => {
  const { cluster } = facts
  assert.ok(cluster !== null)
  assert.doesNotMatch(welcomeText(facts), /^Shards:/m)
  const text = welcomeText({ ...facts, cluster: { ...cluster, home: '/var/lib/switchyard/cluster-x' } })
  assert.match(text, /^Data: {5}\/work\/\.switchyard\nShards: {3}\/var\/lib\/switchyard\/cluster-x$/m)
})

test('before servers of somebody else it names its listeners and no password', () => {
  const text = welcomeText({
    ...facts,
    cluster: null,
    listening: [
      { kind: 'tcp', address: '::', port: 6432 },
      { kind: 'unix', path: '/run/.s.PGSQL.6432' },
    ],
  })
  assert.match(text, /^Clients: {2}\[::\]:6432$/m)
  assert.match(text, /^Clients: {2}\/run\/\.s\.PGSQL\.6432$/m)
  assert.doesNotMatch(text, /postgresql:\/\//)
})

test('addresses that mean all of them become one that can be dialled', () => {
  const text = welcomeText({ ...facts, listening: [{ kind: 'tcp', address: '0.0.0.0', port: 6432 }] })
  assert.match(text, /@127\.0\.0\.1:6432\/postgres/)
})
