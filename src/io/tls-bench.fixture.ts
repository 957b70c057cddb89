import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { CertificateAuthority } from '../../test/support/certificates.ts'
import { type LinkBench, openLink } from './link-host.fixture.ts'
import { stepHandshake } from './link-tls.ts'
import type { SendQueue } from './send-batch.ts'
import { openSocketPair } from './socket.ts'
import { TlsChannel } from './tls-channel.ts'
import { TlsContext } from './tls-context.ts'
import { TlsPeer } from './tls-peer.fixture.ts'

const { certificate: certificatePem, key: keyPem } = new CertificateAuthority('Example CA').issue({
  commonName: 'db.example.com',
})

interface TlsBench extends LinkBench {
  readonly client: TlsPeer
  readonly server: TlsChannel
}

/** Both ends of a link on which TLS is to begin. */
export function openTls(t: TestContext, arenaBytes?: number, ring: SendQueue | null = null): TlsBench {
  const bench = openLink(t, arenaBytes, openSocketPair(), ring)
  const server = TlsContext.forServer({
    certificatePem,
    keyPem,
    caPem: null,
    verify: 'none',
    minVersion: 'TLSv1.2',
    alpn: [],
    logsKeys: ring !== null,
  })
  const options = { caPem: null, certificatePem: null, keyPem: null, verify: 'none' } as const
  const client = TlsContext.forClient(options)
  const channels = [new TlsChannel(server), new TlsChannel(client)] as const
  for (const context of [server, client]) context.free()
  t.after(() => channels[1].free())
  return { ...bench, server: channels[0], client: new TlsPeer(bench.peer, channels[1]) }
}

/** Both sides talk. */
export function shakeHands(bench: TlsBench): void {
  const { host, owner, client, server } = bench
  let step = 'pending'
  owner.link.stream.secureWith(server, host.inbound, 0, 0)
  client.step()
  for (let round = 0; step === 'pending' && round < 10; round++) {
    step = stepHandshake(owner.link)
    host.sends.settle()
    client.step()
  }
  assert.deepEqual([step, owner.link.secure, client.channel.state], ['done', true, 'open'])
}

/** The same, with the handshake behind them. */
export function connect(t: TestContext, arenaBytes?: number): TlsBench {
  const bench = openTls(t, arenaBytes)
  shakeHands(bench)
  return bench
}

/** All that the client has read so far. */
export const received = ({ client }: TlsBench): Buffer => Buffer.concat(client.received)
