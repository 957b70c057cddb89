import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { readProcessUsage } from './process-usage.ts'

const proc = mkdtempSync(join(tmpdir(), 'switchyard-proc-'))
after(() => rmSync(proc, { recursive: true }))
const of = { user: 'web', database: 'shop' }

function process(pid: number, title: string, files: Readonly<Record<string, string>> = {}): void {
  mkdirSync(join(proc, String(pid)))
  writeFileSync(join(proc, String(pid), 'cmdline'), title)
  for (const [file, text] of Object.entries(files)) writeFileSync(join(proc, String(pid), file), text)
}

describe('a server process of this machine', () => {
  it('has used what proc(5) says, whatever it is called', () => {
    process(7, 'postgres: main: web shop 10.0.0.7(5000) SELECT', {
      stat: '7 (post) gres) S 1 7 7 0 -1 4194560 1 0 0 0 150 25 0 0 20 0 1 0 100 1 1',
      statm: '60000 6400 3840 2000 0 700 0',
      io: 'rchar: 1\nwchar: 2\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 0\n',
    })
    assert.deepEqual(readProcessUsage(7, of, proc), { cpuMs: 1750, memory: 10, readBytes: 4096, writtenBytes: 8192 })
  })

  it('keeps its I/O to itself when it is another user’s', () => {
    process(8, 'postgres: web shop [local] idle', {
      stat: '8 (postgres) S 1 7 7 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 1 0 100 1 1',
      statm: '60000 3840 3840 2000 0 700 0',
    })
    const usage = readProcessUsage(8, of, proc)
    assert.equal(usage?.cpuMs, 20)
    assert.equal(usage.readBytes, Number.NaN)
    assert.equal(usage.writtenBytes, Number.NaN)
  })

  it('is not taken for another program, another user’s server process, or one that is gone', () => {
    process(9, 'vim\0notes.txt')
    process(10, 'postgres: web other [local] idle')
    for (const pid of [9, 10, 11]) assert.equal(readProcessUsage(pid, of, proc), null)
  })
})
