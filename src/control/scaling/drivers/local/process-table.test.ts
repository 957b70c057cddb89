import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { isAlive, parseProcessStat, processStat } from './process-table.ts'

test('a command with spaces and parentheses does not shift the fields of /proc/PID/stat', () => {
  const tail = `S ${Array.from({ length: 30 }, (_, index) => String(index + 100)).join(' ')}`
  assert.deepEqual(parseProcessStat(`42 (a) S 1 (b)) ${tail}\n`), {
    command: 'a) S 1 (b)',
    state: 'S',
    startTicks: '118',
  })
})

test('half a line is not taken for a process', () => {
  assert.equal(parseProcessStat(''), null)
  assert.equal(parseProcessStat('42 (postgres) S 1 2'), null)
})

test('this process is alive, and a pid that nobody has is not', () => {
  assert.equal(isAlive(process.pid), true)
  assert.equal(isAlive(2 ** 30), false)
})

test('a zombie, which kill(pid, 0) still finds, is not alive', async () => {
  // The program that replaces the shell never reaps the shell's background child.
  const script = 'sleep 60 & echo $!; exec sleep 60'
  const parent = spawn('/bin/sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] })
  try {
    const [output] = await once(parent.stdout, 'data')
    const pid = Number(String(output))
    await until(() => processStat(parent.pid!)?.command === 'sleep')
    assert.equal(isAlive(pid), true)
    process.kill(pid, 'SIGKILL')
    await until(() => processStat(pid)?.state === 'Z')
    assert.equal(process.kill(pid, 0), true)
    assert.equal(isAlive(pid), false)
  } finally {
    parent.kill('SIGKILL')
  }
})

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000
  while (!condition()) {
    assert.ok(performance.now() < deadline, 'the condition came true in time')
    await new Promise((resolve) => setImmediate(resolve))
  }
}
