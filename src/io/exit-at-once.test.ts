import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'

test('a process ends with its code and what it has written, and takes nothing apart', () => {
  const program = `
    import { exitAtOnce } from ${JSON.stringify(join(import.meta.dirname, 'exit-at-once.ts'))}
    process.on('exit', () => process.stdout.write('taken apart'))
    process.stdout.write('x'.repeat(20_000))
    exitAtOnce(7)
  `
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    maxBuffer: 1 << 20,
  })
  assert.deepEqual([status, stdout.length, stdout.includes('taken'), stderr.toString()], [7, 20_000, false, ''])
})
