import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runProgram } from './run-program.ts'

const account = { uid: process.getuid!(), gid: process.getgid!(), name: 'self', switched: false }
const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

test('a program gets a clean environment, and its status and both outputs come back', async () => {
  process.env.SWITCHYARD_LEAK = 'yes'
  const script = 'echo "out $LC_ALL $SWITCHYARD_LEAK$HOME"; echo err >&2; pwd; exit 3'
  const result = await runProgram('/bin/sh', ['-c', script], { account, timeoutMs: 5000 })
  delete process.env.SWITCHYARD_LEAK
  assert.deepEqual(result, { status: 3, signal: null, stdout: 'out C \n/\n', stderr: 'err\n' })
})

test('a program that cannot be executed is an error with its path, and leaves no timer behind', async () => {
  const before = timers()
  await assert.rejects(runProgram('/nowhere/initdb', [], { account, timeoutMs: 60_000 }), /\/nowhere\/initdb .*ENOENT/)
  assert.equal(timers(), before)
})

test('a program that does not end is killed', async () => {
  await assert.rejects(runProgram('/bin/sleep', ['60'], { account, timeoutMs: 50 }), /did not end within 0\.05 s/)
})

test('output without end does not fill the memory', async () => {
  const script = 'dd if=/dev/zero bs=1000000 count=3 2>/dev/null | tr "\\0" x'
  const result = await runProgram('/bin/sh', ['-c', script], { account, timeoutMs: 20_000 })
  assert.ok(result.stdout.length < 200_000)
})

test('an abort ends the program with the reason of the abort', async () => {
  const abort = new AbortController()
  const run = runProgram('/bin/sleep', ['60'], { account, timeoutMs: 60_000, signal: abort.signal })
  abort.abort(new Error('enough'))
  await assert.rejects(run, /enough/)
})
