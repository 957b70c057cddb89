import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stepHandshake } from './link-tls.ts'
import { PlainSends } from './plain-sends.ts'
import { openTls } from './tls-bench.fixture.ts'

test('last words before the handshake is done cannot be said, which is no reason to stay', (t) => {
  const { host, owner, server } = openTls(t)
  owner.link.stream.secureWith(server, host.inbound, 0, 0)
  assert.equal(stepHandshake(owner.link), 'pending')
  assert.equal(owner.link.send(Buffer.from('too late')), false)
  assert.match(owner.link.failure, /handshake/)
  owner.link.farewell()
  owner.link.close()
})

test('bytes that were read before TLS began belong to the handshake', (t) => {
  const bench = openTls(t)
  const { host, owner, client, server } = bench
  client.channel.handshake()
  const hello = client.ciphertext()
  // A direct TLS connection: the plane has read some of it to see what it is.
  client.raw.send(hello.subarray(100))
  host.inbound.bytes.set(hello.subarray(0, 100), 50)
  owner.link.stream.secureWith(server, host.inbound, 50, 150)
  let step = stepHandshake(owner.link)
  for (let round = 0; step === 'pending' && round < 5; round++) {
    client.step()
    step = stepHandshake(owner.link)
  }
  assert.equal(step, 'done')
})

test('what a handshake says leaves with the step that it is of', (t) => {
  const { host, owner, client, server } = openTls(t, undefined, new PlainSends())
  owner.link.stream.secureWith(server, host.inbound, 0, 0)
  client.step()
  assert.equal(stepHandshake(owner.link), 'pending')
  assert.equal(client.raw.receive()?.length, 0)
  assert.equal(owner.bytesWritten, 0)
  host.sends.settle()
  client.step()
  assert.equal(client.channel.state, 'open')
})

test('a handshake with garbage fails with its reason, and the peer gets an alert', (t) => {
  const { host, owner, peer, server } = openTls(t)
  owner.link.stream.secureWith(server, host.inbound, 0, 0)
  assert.equal(stepHandshake(owner.link), 'pending')
  peer.send(Buffer.from('1603010005ffffffffff', 'hex'))
  assert.equal(stepHandshake(owner.link), 'failed')
  assert.match(owner.link.failure, /TLS/)
  // Record type 21.
  assert.equal(peer.receive()?.[0], 21)
})

test('a peer that leaves in the middle of the handshake makes it fail', (t) => {
  const { host, owner, client, peer, server } = openTls(t)
  owner.link.stream.secureWith(server, host.inbound, 0, 0)
  client.channel.handshake()
  peer.send(client.ciphertext().subarray(0, 50))
  assert.equal(stepHandshake(owner.link), 'pending')
  peer.end()
  assert.equal(stepHandshake(owner.link), 'failed')
  assert.match(owner.link.failure, /closed the connection during the TLS handshake/)
})
