import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { ParallelWorkers } from './parallel-workers.ts'

/** Processes of this one that call themselves by these names, as a server's do. */
test('a process is looked at again until it has a name of its own', async (t) => {
  const script =
    'process.stdin.once("data", (title) => { process.title = String(title); console.log("renamed") }); console.log("there")'
  const child = spawn(process.execPath, ['-e', script, ' '.repeat(60)], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  const leader = spawn('sleep', ['60'], { stdio: 'ignore' })
  t.after(() => leader.kill('SIGKILL'))
  await once(leader, 'spawn')
  const workers = new ParallelWorkers()
  assert.deepEqual(workers.of(leader.pid as number), [])
  child.stdin.write(`postgres: parallel worker for PID ${leader.pid}`)
  await once(child.stdout, 'data')
  assert.deepEqual(workers.of(leader.pid as number), [child.pid])
})

test('there are none of a process that is not there', () => {
  assert.deepEqual(new ParallelWorkers().of(4_194_303), [])
})
