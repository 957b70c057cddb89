import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recordsOf, TestRouter, testUser } from '../../router-control.fixture.ts'
import { writeClient, writePool, writeServer } from '../../router-memory.fixture.ts'
import { showUsers } from './show-users.ts'

test('a user is shown with limits, use and console access, and the kind of credential only', () => {
  const router = new TestRouter()
  router.users = [
    { ...testUser('alice'), console: 'admin', password: 'sesame', maxClients: 3 },
    { ...testUser('bob'), verifier: { kind: 'md5', hash: 'md5deadbeef' } },
  ]
  writePool(router, 0)
  writeServer(router, 0, 'idle')
  writeClient(router, 0, 'idle')
  const [alice, bob] = recordsOf(showUsers, router)
  assert.deepEqual(
    { ...alice },
    {
      ...alice,
      name: 'alice',
      pool_size: null,
      current_connections: 1,
      max_user_client_connections: 3,
      current_client_connections: 1,
      console: 'admin',
      credential: 'password',
    },
  )
  assert.deepEqual([bob?.credential, bob?.max_user_client_connections], ['md5', 100])
  assert.doesNotMatch(JSON.stringify([alice, bob]), /sesame|deadbeef/)
})
