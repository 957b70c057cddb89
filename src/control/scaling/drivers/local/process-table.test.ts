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
  // The shell's background child ends at once, and the program that replaces the shell never reaps it.
  const parent = spawn('/bin/sh', ['-c', 'true & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] })
  try {
    const [output] = await once(parent.stdout, 'data')
    const pid = Number(String(output))
    const deadline = performance.now() + 5000
    while (processStat(pid)?.state !== 'Z') {
      assert.ok(performance.now() < deadline, 'the child became a zombie')
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.equal(process.kill(pid, 0), true)
    assert.equal(isAlive(pid), false)
  } finally {
    parent.kill('SIGKILL')
  }
})
