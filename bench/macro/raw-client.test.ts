import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { test } from 'node:test'
import { ScramKeyCache } from '../../src/auth/scram-key-cache.ts'
import { openRawClient } from './raw-client.ts'

async function withServer(onClient: (socket: Socket) => void, run: (port: number) => Promise<void>): Promise<void> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => {})
    onClient(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address !== 'string')
  try {
    await run(address.port)
  } finally {
    server.close()
  }
}

function open(port: number): Promise<Socket> {
  return openRawClient({ host: '127.0.0.1', port, user: 'u', database: 'd', password: 'p' }, new ScramKeyCache(1))
}

const authenticationOk = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0])
const readyForQuery = Buffer.from([0x5a, 0, 0, 0, 5, 0x49])

test('answers that arrive byte by byte are put together', async () => {
  await withServer(
    (socket) => {
      socket.setNoDelay(true).once('data', () => {
        for (const byte of Buffer.concat([authenticationOk, readyForQuery])) socket.write(Buffer.of(byte))
      })
    },
    async (port) => {
      const socket = await open(port)
      assert.equal(socket.listenerCount('data'), 0)
      socket.destroy()
    },
  )
})

test('a refusal is told in the words of the server', async () => {
  const body = 'SFATAL\0C53300\0Mtoo many clients already\0\0'
  const refusal = Buffer.concat([Buffer.from([0x45, 0, 0, 0, body.length + 4]), Buffer.from(body)])
  await withServer(
    (socket) => socket.once('data', () => socket.write(refusal)),
    async (port) => assert.rejects(open(port), /53300 too many clients already/),
  )
})

test('a server that hangs up, and one that wants another kind of password, are errors', async () => {
  await withServer(
    (socket) => socket.once('data', () => socket.end()),
    async (port) => assert.rejects(open(port), /closed the connection during the login/),
  )
  await withServer(
    (socket) => socket.once('data', () => socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]))),
    async (port) => assert.rejects(open(port), /authentication method 3/),
  )
})
