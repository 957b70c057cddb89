import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { openProcess, reapChild, signalProcess } from './foreign-process.ts'
import { SystemError } from './native.ts'
import { Poller, READABLE } from './poller.ts'

test('the descriptor of a process becomes readable when it ends, by a signal sent through it', async (t) => {
  const child = spawn('/bin/sleep', ['60'], { stdio: 'ignore' })
  t.after(() => child.kill('SIGKILL'))
  const process_ = openProcess(child.pid!)
  const poller = new Poller(process.arch)
  let ended = false
  const key = poller.add(process_, READABLE, {
    onReady: () => {
      ended = true
    },
  })
  poller.dispatch(poller.wait(0))
  assert.equal(ended, false)
  assert.equal(signalProcess(process_, 9), true)
  poller.dispatch(poller.wait(5_000))
  assert.equal(ended, true)
  await once(child, 'exit')
  assert.equal(signalProcess(process_, 9), false)
  poller.remove(key, process_)
  process_.close()
  assert.throws(() => openProcess(child.pid!), SystemError)
})

test('only children can be collected', () => {
  assert.equal(reapChild(1), null)
})
