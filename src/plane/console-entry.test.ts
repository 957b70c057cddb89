import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { testUserValue } from '../shard/user.fixture.ts'
import { PlaneCommands } from './commands.ts'
import { openPlane, type TestClient, type TestPlane } from './plane.fixture.ts'

/** A plane with an operator at its console, whose control process is away. */
function open(t: TestContext): { test: TestPlane; operator: TestClient } {
  const test = openPlane(t)
  const path = `${temporaryDirectory()}/console.sock`
  const users = [testUserValue({ console: 'admin' })]
  const values = { ...test.plane.values, version: 2, users, consoleDatabases: ['switchyard'], consoleSocket: path }
  new PlaneCommands(
    test.plane,
    () => {},
    () => {},
  ).run({ op: 'values', values })
  const operator = test.connect()
  operator.startup('ada', 'switchyard')
  return { test, operator }
}

test('a login to the console waits for control, and is told after ten seconds that it does not come', (t) => {
  const { test, operator } = open(t)
  for (let second = 0; second < 9; second++) test.pass(1000)
  assert.deepEqual([operator.told(), operator.ended], [['R'], false])
  test.pass(1000)
  test.pass(200)
  assert.deepEqual(operator.told(), ['E FATAL 57P03'])
  assert.equal(operator.ended, true)
})

test('one that leaves while it waits is over at once', (t) => {
  const { test, operator } = open(t)
  test.pass(1000)
  operator.peer.close()
  test.settle()
  assert.equal(test.plane.sessions.size, 0)
  test.pass(1000)
})
