import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { reportContextOf, TestRouter } from '../router-control.fixture.ts'
import { writeClient, writePlane, writePool } from '../router-memory.fixture.ts'
import { HttpServer } from './http-server.ts'

async function serve(t: TestContext, router = new TestRouter()) {
  const bugs: unknown[] = []
  const server = new HttpServer(reportContextOf(router), (error) => bugs.push(error))
  const { port } = await server.listen('127.0.0.1', 0)
  t.after(() => server.close())
  return { router, server, bugs, port, url: (path: string) => `http://127.0.0.1:${port}${path}` }
}

/** Sends bytes, returns all that comes back until the server closes. */
function rawRequest(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let answer = ''
    socket.on('data', (chunk) => {
      answer += chunk
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(answer))
    socket.write(bytes)
  })
}

test('health answers 200 or 503 with reasons', async (t) => {
  const { router, url } = await serve(t)
  const unready = await fetch(url('/readyz'))
  assert.equal(unready.status, 503)
  assert.deepEqual(await unready.json(), { status: 'unavailable', reasons: ['Plane 0 has not started.'], troubles: [] })
  writePlane(router, 0)
  const ready = await fetch(url('/readyz?verbose=1'))
  assert.equal(ready.status, 200)
  assert.deepEqual(await ready.json(), { status: 'ok', reasons: [], troubles: [] })
  assert.equal((await fetch(url('/healthz'))).status, 200)
  router.startedAt = 0
  writePlane(router, 0, { turnedAt: 1 })
  assert.equal((await fetch(url('/healthz'))).status, 503)
})

test('metrics have the content type of the text format', async (t) => {
  const { url } = await serve(t)
  const response = await fetch(url('/metrics'))
  assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  assert.match(await response.text(), /^switchyard_build_info\{/m)
})

test("reports are the console's tables as JSON", async (t) => {
  const { router, url } = await serve(t)
  assert.deepEqual(await (await fetch(url('/api/clients'))).json(), [])
  writePool(router, 0)
  writeClient(router, 0, 'idle', { applicationName: 'say "hi"' })
  const [client] = (await (await fetch(url('/api/clients'))).json()) as Record<string, unknown>[]
  assert.equal(client?.application_name, 'say "hi"')
  const shards = (await (await fetch(url('/api/shards'))).json()) as Record<string, unknown>[]
  assert.deepEqual(
    shards.map(({ name, up }) => [name, up]),
    [
      ['alpha', true],
      ['beta', true],
    ],
  )
  for (const name of ['servers', 'pools', 'databases', 'planes', 'stats', 'slots', 'tiers']) {
    assert.ok(Array.isArray(await (await fetch(url(`/api/${name}`))).json()), name)
  }
})

test('events are told with their time, and counted by kind', async (t) => {
  const { router, url } = await serve(t)
  router.eventLog.publish({ kind: 'health', level: 'error', shard: 'alpha', what: 'alpha is down', reason: 'gone' })
  router.eventLog.publish({ kind: 'scaling', what: 'a shard is wanted' })
  const time = '2026-01-01 00:00:00.000 UTC'
  assert.deepEqual(await (await fetch(url('/api/events'))).json(), [
    { id: 2, time, kind: 'scaling', level: 'info', shard: null, event: 'a shard is wanted', reason: null },
    { id: 1, time, kind: 'health', level: 'error', shard: 'alpha', event: 'alpha is down', reason: 'gone' },
  ])
  const metrics = await (await fetch(url('/metrics'))).text()
  assert.match(metrics, /^switchyard_events_total\{kind="health"\} 1$/m)
  assert.match(metrics, /^switchyard_events_total\{kind="adjustment"\} 0$/m)
})

test('a report of many clients is whole', async (t) => {
  const router = new TestRouter(5_000)
  for (let slot = 0; slot < 5_000; slot++) writeClient(router, slot, 'idle')
  const { url } = await serve(t, router)
  assert.equal(((await (await fetch(url('/api/clients'))).json()) as unknown[]).length, 5_000)
})

test('a reader that leaves in the middle of a report disturbs nobody', async (t) => {
  const router = new TestRouter(20_000)
  for (let slot = 0; slot < 20_000; slot++) writeClient(router, slot, 'idle')
  const { port, url, bugs } = await serve(t, router)
  await new Promise<void>((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.write('GET /api/clients HTTP/1.1\r\nHost: x\r\n\r\n')
    socket.once('data', () => socket.destroy())
    socket.on('close', () => resolve())
  })
  assert.equal((await fetch(url('/healthz'))).status, 200)
  assert.deepEqual(bugs, [])
})

test('the status page shows names as text, and may load nothing', async (t) => {
  const { router, url } = await serve(t)
  writePool(router, 0, { user: '<script>alert(1)</script>' })
  const response = await fetch(url('/'))
  assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'none'/)
  const page = await response.text()
  assert.doesNotMatch(page, /<script>/)
  assert.match(page, /&#60;script&#62;/)
  assert.match(page, /Plane 0 has not started\./)
})

test('HEAD has the headers of GET and no body', async (t) => {
  const { port, url } = await serve(t)
  for (const path of ['/', '/metrics', '/api/clients', '/healthz']) {
    const response = await fetch(url(path), { method: 'HEAD' })
    assert.equal(response.status, 200, path)
    assert.equal(await response.text(), '')
  }
  const answer = await rawRequest(port, 'HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  assert.match(answer, /content-length: 43\r\n/i)
  assert.ok(answer.endsWith('\r\n\r\n'))
})

test('other methods are refused with 405 and other paths with 404', async (t) => {
  const { url } = await serve(t)
  const response = await fetch(url('/metrics'), { method: 'POST', body: 'x'.repeat(100_000) })
  assert.equal(response.status, 405)
  assert.equal(response.headers.get('allow'), 'GET, HEAD')
  for (const path of ['/nothing', '/api/', '/api/constructor', '/api/users', '//', '/metrics/']) {
    const missing = await fetch(url(path))
    assert.equal(missing.status, 404, path)
    assert.match(await missing.text(), /"\/readyz"/)
  }
})

test('garbage and headers without end are turned away', async (t) => {
  const { port, url } = await serve(t)
  assert.match(await rawRequest(port, '\x16\x03\x01garbage\r\n\r\n'), /^HTTP\/1\.1 400 /)
  assert.match(await rawRequest(port, `GET / HTTP/1.1\r\nX: ${'y'.repeat(10_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /)
  assert.equal((await fetch(url('/healthz'))).status, 200)
})

test('a page that cannot be made is a 500 and is handed on', async (t) => {
  const { router, url, bugs } = await serve(t)
  router.health = () => {
    throw new Error('broken')
  }
  assert.equal((await fetch(url('/'))).status, 500)
  assert.equal((await fetch(url('/api/shards'))).status, 500)
  assert.equal(bugs.length, 2)
})

test('a port that is taken is named in the error', async (t) => {
  const { port } = await serve(t)
  const second = new HttpServer(reportContextOf(new TestRouter()), () => undefined)
  await assert.rejects(
    second.listen('127.0.0.1', port),
    new RegExp(`cannot listen on 127.0.0.1 port ${port}: .*EADDRINUSE`),
  )
})
