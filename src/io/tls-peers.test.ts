import assert from 'node:assert/strict'
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { after, afterEach, test } from 'node:test'
import tls from 'node:tls'
import { CertificateAuthority } from '../../test/support/certificates.ts'
import { TLS_CLOSED, TLS_FAILED, TlsChannel } from './tls-channel.ts'
import { TlsContext } from './tls-context.ts'
import { TlsTestSocket } from './tls-test-socket.ts'

// The channel against Node's own TLS, over real sockets.

const authority = new CertificateAuthority('Example CA')
const credentials = authority.issue({ commonName: 'db.example.com', names: ['db.example.com'] })
const serverContexts = new Map(
  (['TLSv1.2', 'TLSv1.3'] as const).map((minVersion) => [
    minVersion,
    TlsContext.forServer({
      certificatePem: credentials.certificate,
      keyPem: credentials.key,
      caPem: null,
      verify: 'none',
      minVersion,
      alpn: ['postgresql'],
    }),
  ]),
)
const clientContext = TlsContext.forClient({
  caPem: authority.certificate,
  certificatePem: null,
  keyPem: null,
  verify: 'full',
})
/** What the running test has opened. */
const cleanups: (() => void)[] = []
afterEach(() => {
  // A test that fails must not leave a socket open, or the run never ends.
  for (const cleanup of cleanups.splice(0).reverse()) cleanup()
})
after(() => {
  for (const context of [clientContext, ...serverContexts.values()]) context.free()
})

function attach(...args: ConstructorParameters<typeof TlsTestSocket>): TlsTestSocket {
  const peer = new TlsTestSocket(...args)
  cleanups.push(() => peer.destroy())
  return peer
}

interface Echo {
  readonly port: number
  /** The channel of the only connection. */
  readonly peer: Promise<TlsTestSocket>
}

/** Sends back what it gets, decrypted and encrypted by a channel. */
async function listenEcho(minVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.2'): Promise<Echo> {
  const { promise, resolve } = Promise.withResolvers<TlsTestSocket>()
  const server = net.createServer((socket) => {
    const channel = new TlsChannel(serverContexts.get(minVersion)!)
    resolve(attach(channel, socket, (bytes, self) => self.send(bytes)))
  })
  cleanups.push(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    peer: promise,
  }
}

const clientOptions = { host: '127.0.0.1', ca: authority.certificate, servername: 'db.example.com' }

function connectNode(options: tls.ConnectionOptions): tls.TLSSocket {
  const socket = tls.connect(options)
  cleanups.push(() => socket.destroy())
  return socket
}

async function receiveBytes(socket: NodeJS.ReadableStream, length: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  for (let got = 0; got < length; ) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    chunks.push(chunk)
    got += chunk.length
  }
  return Buffer.concat(chunks)
}

const megabyte = Buffer.from(Array.from({ length: 1_000_000 }, (_, index) => index % 253))

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${version}: Node's client gets a megabyte back from a channel and closes in good order`, async () => {
    const echo = await listenEcho()
    const options = { ...clientOptions, port: echo.port, minVersion: version, maxVersion: version }
    const socket = connectNode({ ...options, ALPNProtocols: ['other', 'postgresql'] })
    let sessions = 0
    socket.on('session', () => sessions++)
    await once(socket, 'secureConnect')
    assert.equal(socket.getProtocol(), version)
    assert.equal(socket.alpnProtocol, 'postgresql')
    socket.write(megabyte)
    assert.ok(megabyte.equals(await receiveBytes(socket, megabyte.length)))
    assert.equal(version === 'TLSv1.3' ? sessions : 0, 0, 'no session ticket was sent')
    assert.equal(socket.getTLSTicket(), undefined)
    socket.end()
    const peer = await echo.peer
    await peer.closed
    assert.equal(peer.channel.alpnSelected, 'postgresql')
    assert.equal(peer.ended, TLS_CLOSED)
  })

  test(`${version}: a channel gets a megabyte back from Node's server, which it verifies`, async () => {
    const server = tls.createServer({
      key: credentials.key,
      cert: credentials.certificate,
      minVersion: version,
      maxVersion: version,
      ALPNProtocols: ['postgresql'],
    })
    let askedFor: string | false | null = null
    server.on('secureConnection', (socket) => {
      askedFor = socket.servername
      socket.pipe(socket)
    })
    cleanups.push(() => server.close())
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const channel = new TlsChannel(clientContext, { serverName: 'db.example.com', alpn: ['postgresql'] })
    const socket = net.connect((server.address() as AddressInfo).port, '127.0.0.1')
    const chunks: Buffer[] = []
    let sent = 0
    let got = 0
    const pump = (self: TlsTestSocket): void => {
      for (; sent < megabyte.length && sent - got < 100_000; sent += 10_000) {
        self.send(megabyte.subarray(sent, sent + 10_000))
      }
    }
    const peer = attach(channel, socket, (bytes, self) => {
      chunks.push(bytes)
      got += bytes.length
      pump(self)
      if (got === megabyte.length) self.channel.shutdown()
    })
    await once(socket, 'connect')
    peer.step()
    while (channel.state === 'handshaking') await once(socket, 'data')
    assert.equal(channel.state, 'open', channel.failure ?? '')
    assert.equal(channel.version, version)
    assert.equal(channel.verified, true)
    assert.equal(channel.alpnSelected, 'postgresql')
    pump(peer)
    await peer.closed
    assert.ok(megabyte.equals(Buffer.concat(chunks)))
    assert.equal(askedFor, 'db.example.com')
    assert.equal(peer.ended, TLS_CLOSED, channel.failure ?? '')
  })
}

test('a client that renegotiates is refused, and no second handshake takes place', async () => {
  const echo = await listenEcho()
  const socket = connectNode({ ...clientOptions, port: echo.port, maxVersion: 'TLSv1.2' })
  await once(socket, 'secureConnect')
  const refused = once(socket, 'error')
  socket.renegotiate({ rejectUnauthorized: false }, () => assert.fail('It was granted.'))
  const [error] = (await refused) as [Error & { reason?: string }]
  assert.match(error.message, /no renegotiation/)
})

test('a server that asks for a renegotiation is refused', async () => {
  const server = tls.createServer({ key: credentials.key, cert: credentials.certificate, maxVersion: 'TLSv1.2' })
  const refused = Promise.withResolvers<Error>()
  server.on('secureConnection', (socket) => {
    socket.on('error', refused.resolve)
    socket.renegotiate({}, () => refused.reject(new Error('It was granted.')))
  })
  cleanups.push(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const channel = new TlsChannel(clientContext, { serverName: 'db.example.com' })
  const socket = net.connect((server.address() as AddressInfo).port, '127.0.0.1')
  const peer = attach(channel, socket, () => {})
  await once(socket, 'connect')
  peer.step()
  assert.match((await refused.promise).message, /no renegotiation/)
  await peer.closed
})

test('a session is not resumed, not even over TLS 1.2', async () => {
  let session: Buffer | undefined
  for (let connection = 0; connection < 2; connection++) {
    const echo = await listenEcho()
    const resume = session === undefined ? {} : { session }
    const socket = connectNode({ ...clientOptions, port: echo.port, maxVersion: 'TLSv1.2', ...resume })
    await once(socket, 'secureConnect')
    assert.equal(socket.isSessionReused(), false)
    session = socket.getSession()
    socket.end()
  }
})

const refusals: readonly (readonly [string, 'TLSv1.2' | 'TLSv1.3', tls.ConnectionOptions, RegExp, RegExp])[] = [
  [
    'only CBC suites',
    'TLSv1.2',
    { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA' },
    /no shared cipher \(it offers no AEAD cipher suite\)/,
    /handshake failure/,
  ],
  [
    'only TLS 1.2 where 1.3 is the least',
    'TLSv1.3',
    { maxVersion: 'TLSv1.2' },
    /unsupported protocol \(it offers no TLS version that is allowed here\)/,
    /protocol version/,
  ],
  [
    'ALPN without our protocol',
    'TLSv1.2',
    { ALPNProtocols: ['http/1.1', 'h2'] },
    /no application protocol \(it offers ALPN, but not the protocol that is spoken here\)/,
    /no application protocol/,
  ],
]

for (const [title, minVersion, options, failure, told] of refusals) {
  test(`a client that offers ${title} is refused, and told so by an alert`, async () => {
    const echo = await listenEcho(minVersion)
    const socket = connectNode({ ...clientOptions, port: echo.port, ...options })
    const [error] = (await once(socket, 'error')) as [Error]
    assert.match(error.message, told)
    assert.match((await echo.peer).channel.failure ?? '', failure)
  })
}

test('a client without ALPN is served, and the caller can see that it offered none', async () => {
  const echo = await listenEcho()
  const socket = connectNode({ ...clientOptions, port: echo.port })
  await once(socket, 'secureConnect')
  socket.write('hello')
  assert.equal((await receiveBytes(socket, 5)).toString(), 'hello')
  assert.equal((await echo.peer).channel.alpnSelected, null)
  socket.end()
})

test('a client that cuts the connection without a word is a truncation, not an end', async () => {
  const echo = await listenEcho()
  const raw = net.connect(echo.port, '127.0.0.1')
  const socket = connectNode({ ...clientOptions, socket: raw })
  await once(socket, 'secureConnect')
  socket.write('hello')
  await receiveBytes(socket, 5)
  raw.end()
  const peer = await echo.peer
  await peer.closed
  assert.equal(peer.ended, TLS_FAILED)
  assert.match(peer.channel.failure ?? '', /no close_notify/)
})
