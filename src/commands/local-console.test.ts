import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { FATAL } from '../client/client-host.ts'
import { writeError } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { LocalConsole } from './local-console.ts'

const writer = new MessageWriter()
const READY = Buffer.from('R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I', 'latin1')
const refusal = (sqlstate: string): Buffer => {
  writeError(writer.reset(), FATAL(sqlstate, 'not now'))
  return Buffer.from(writer.bytes)
}

/** A console that says each of these, in turn, to who logs in, the last one for ever; how many have come. */
async function listen(t: TestContext, path: string, ...words: readonly Buffer[]): Promise<() => number> {
  let logins = 0
  const server = createServer((socket) => {
    const word = words[Math.min(logins++, words.length - 1)] as Buffer
    socket.once('data', () => socket.end(word)).on('error', () => {})
  })
  t.after(() => server.close())
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return () => logins
}

test('a console that is not there yet, or about to go, is waited for', async (t) => {
  const path = join(temporaryDirectory(), 'console.sock')
  const opened = LocalConsole.open(path, 'ada')
  await new Promise((resolve) => setImmediate(resolve))
  const logins = await listen(t, path, refusal('57P01'), Buffer.alloc(0), READY)
  ;(await opened).close()
  assert.equal(logins(), 3)
})

test('a login that is refused is not tried again', async (t) => {
  const path = join(temporaryDirectory(), 'console.sock')
  const logins = await listen(t, path, refusal('42501'))
  await assert.rejects(LocalConsole.open(path, 'ada'), /not now/)
  assert.equal(logins(), 1)
})

test('a router that is not there is not waited for', async () => {
  const directory = temporaryDirectory()
  rmSync(directory, { recursive: true })
  await assert.rejects(LocalConsole.open(join(directory, 'console.sock'), 'ada'), /The router did not answer/)
})
