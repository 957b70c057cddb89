import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../config/load-config.ts'
import { keepRestartSettings } from './keep-restart-settings.ts'

const config = (text: string) =>
  parseConfig(`${text}\n[monitor]\nuser = "m"\n[[shards]]\nname = "db1"\nhost = "10.0.0.1"\n`, {
    file: 'test.toml',
    directory: '/',
    environment: {},
  })

test('what needs a restart stays as it runs, everything else is the new file’s', () => {
  const running = config(
    '[listen]\nport = 7000\n[limits]\nmax_clients = 10\nmax_clients_per_user = 1\n[pool]\nsize = 5',
  )
  const after = config('[listen]\nport = 8000\n[limits]\nmax_clients = 20\nmax_clients_per_user = 2\n[pool]\nsize = 6')
  const effective = keepRestartSettings(running, after)
  assert.equal(effective.listen.port, 7000)
  assert.equal(effective.limits.maxClients, 10)
  assert.equal(effective.limits.maxClientsPerUser, 2)
  assert.equal(effective.pool.size, 6)
  assert.deepEqual(effective.shards, after.shards)
})
