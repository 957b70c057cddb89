import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Daemon } from './child.ts'
import { Cleanup, Interrupted, until } from './cleanup.ts'
import { readProcessStat } from './process-usage.ts'

test('what was started last is stopped first, also when one cannot be stopped', async () => {
  const cleanup = new Cleanup()
  const events: string[] = []
  cleanup.add('first', () => void events.push('first'))
  const fail = (): void => {
    throw new Error('does not end')
  }
  cleanup.add('second', fail, () => void events.push('second killed'))
  const stopThird = cleanup.add('third', () => void events.push('third'))
  cleanup.add('fourth', () => void events.push('fourth'))
  await stopThird()
  await cleanup.stopAll()
  assert.deepEqual(events, ['third', 'fourth', 'second killed', 'first'])
})

test('a signal aborts what is being waited for, with the signal as the reason', async () => {
  const cleanup = new Cleanup()
  try {
    const waiting = until('never', () => false, { timeoutMs: 10_000, signal: cleanup.signal })
    process.kill(process.pid, 'SIGHUP')
    await assert.rejects(waiting, (error: Error) => error.name === 'AbortError' && error.cause instanceof Interrupted)
  } finally {
    await cleanup.stopAll()
  }
  assert.equal(process.listenerCount('SIGHUP'), 0)
})

test('waiting too long says for what', async () => {
  await assert.rejects(
    until('the rain', () => false, { timeoutMs: 30, everyMs: 5 }),
    /the rain did not happen within 0.03 s/,
  )
})

test('a daemon is stopped with the others, and one that ends at once shows its last words', async () => {
  const cleanup = new Cleanup()
  const directory = mkdtempSync(join(tmpdir(), 'bench-test-'))
  const common = { command: '/bin/sh', logFile: join(directory, 'log') }
  try {
    const lasting = await Daemon.start({ ...common, name: 'lasting', args: ['-c', 'exec sleep 60'] }, cleanup)
    const short = await Daemon.start({ ...common, name: 'short', args: ['-c', 'echo no port; exit 1'] }, cleanup)
    const never = async (): Promise<void> => {
      throw new Error('connection refused')
    }
    await assert.rejects(short.untilReady(never, 10_000, cleanup.signal), /short ended at once:\nno port/)
    await assert.rejects(lasting.untilReady(never, 100, cleanup.signal), /last answer: connection refused/)
    assert.deepEqual(lasting.processes(), [lasting.pid])
    await cleanup.stopAll()
    assert.equal(readProcessStat(lasting.pid), null)
    assert.deepEqual(lasting.processes(), [])
  } finally {
    await cleanup.stopAll()
    rmSync(directory, { recursive: true })
  }
})
