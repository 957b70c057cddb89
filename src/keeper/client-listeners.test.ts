import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ConfigError } from '../errors.ts'
import { type ClientListener, type ListenRequest, openClientListeners } from './client-listeners.ts'

const request: ListenRequest = {
  addresses: ['127.0.0.1'],
  port: 0,
  unixSocketDirectory: null,
  unixSocketMode: 0o700,
  backlog: 16,
  pid: process.pid,
}

async function open(t: TestContext, changes: Partial<ListenRequest>): Promise<readonly ClientListener[]> {
  const listeners = await openClientListeners({ ...request, ...changes })
  t.after(() => listeners.forEach((listener) => void listener.close()))
  return listeners
}

function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'sy-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

function portOf(listener: ClientListener | undefined): number {
  assert.ok(listener?.place.kind === 'tcp')
  return listener.place.port
}

async function connects(target: { path: string } | { host: string; port: number }): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = createConnection(target)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

test('any free port is the same one on all addresses', async (t) => {
  const [four, six] = await open(t, { addresses: ['127.0.0.1', '::1'] })
  assert.equal(portOf(four), portOf(six))
  assert.equal(await connects({ host: '::1', port: portOf(six) }), true)
})

test('every address of both families can be written in one list', async (t) => {
  const listeners = await open(t, { addresses: ['0.0.0.0', '::'] })
  assert.equal(listeners.length, 2)
})

test('"::" alone takes IPv4 clients as well', async (t) => {
  const [listener] = await open(t, { addresses: ['::'] })
  assert.equal(await connects({ host: '127.0.0.1', port: portOf(listener) }), true)
})

test('a port that is taken is a sentence with the port, and nothing stays open', async (t) => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  t.after(() => other.close())
  const { port } = other.address() as { port: number }
  await assert.rejects(openClientListeners({ ...request, addresses: ['127.0.0.2', '127.0.0.1'], port }), (error) => {
    assert.ok(error instanceof ConfigError)
    assert.match(error.message, new RegExp(`Port ${port} on 127.0.0.1 is taken by another program; stop it, or choose`))
    return true
  })
  assert.equal(await connects({ host: '127.0.0.2', port }), false)
})

test('an address that this machine does not have is a sentence', async () => {
  await assert.rejects(openClientListeners({ ...request, addresses: ['203.0.113.7'] }), /has no address 203\.0\.113\.7/)
})

test('the Unix socket has the name that libpq looks for, its permissions, and goes with the listener', async (t) => {
  const directory = scratch(t)
  const listeners = await openClientListeners({ ...request, unixSocketDirectory: directory })
  const path = join(directory, `.s.PGSQL.${portOf(listeners[0])}`)
  assert.equal(statSync(path).mode & 0o777, 0o700)
  assert.equal(await connects({ path }), true)
  for (const listener of listeners) listener.close()
  assert.equal(existsSync(path), false)
  assert.equal(existsSync(`${path}.lock`), false)
})

test('a socket file without an owner is replaced', async (t) => {
  const directory = scratch(t)
  const path = join(directory, '.s.PGSQL.7777')
  writeFileSync(path, '')
  writeFileSync(`${path}.lock`, '999999999\n')
  await open(t, { addresses: [], port: 7777, unixSocketDirectory: directory })
  assert.equal(await connects({ path }), true)
  assert.match(readFileSync(`${path}.lock`, 'utf8'), new RegExp(`^${process.pid}\n`))
})

test('a socket that somebody answers is left alone', async (t) => {
  const directory = scratch(t)
  const path = join(directory, '.s.PGSQL.7778')
  const owner = createServer()
  await new Promise<void>((resolve) => owner.listen(path, resolve))
  t.after(() => owner.close())
  await assert.rejects(
    openClientListeners({ ...request, addresses: [], port: 7778, unixSocketDirectory: directory }),
    /Unix socket .*7778 is in use by another program/,
  )
  assert.equal(await connects({ path }), true)
})

test('a directory that does not exist is a sentence that names the key', async () => {
  await assert.rejects(
    openClientListeners({ ...request, unixSocketDirectory: '/nonexistent/sockets' }),
    /\/nonexistent\/sockets does not exist; create it, or choose another listen\.unix_socket_directory/,
  )
})
