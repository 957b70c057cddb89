import assert from 'node:assert/strict'
import { mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FdChannel } from '../io/fd-channel.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { encodePlaneMessage, MAX_PACKET_BYTES, type PlaneMessage } from '../memory/keeper-protocol.ts'
import { findOrphans } from './orphans.ts'

const PLACE = { kind: 'tcp', address: '127.0.0.1', port: 6432 } as const

function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'sy-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'planes.sock')
}

/** A plane that dials until somebody listens, and says this. */
async function plane(path: string, messages: readonly (readonly [PlaneMessage, readonly number[]])[]) {
  let fd: OwnedFd | null = null
  while (fd === null) {
    try {
      fd = FdChannel.dial(path)
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }
  const channel = new FdChannel(fd, MAX_PACKET_BYTES)
  const packet = Buffer.alloc(MAX_PACKET_BYTES)
  for (const [message, fds] of messages) channel.send(packet, encodePlaneMessage(message, packet), fds)
  return channel
}

test('a plane is found with memory, lock and listeners, and what it says of its connections is left to be read', async (t) => {
  const path = scratch(t)
  const any = openSync('/dev/null', 'r')
  const adoptee = { plane: 0, generation: 3, pid: process.pid, listeners: 1 }
  const search = findOrphans({ path, count: () => 1, areAlive: () => true, patienceMs: 5_000 })
  const channel = await plane(path, [
    [{ op: 'adopt', adoptee }, [any, any]],
    [{ op: 'listener', place: PLACE }, [any]],
    [{ op: 'have', clients: [{ slot: 7, generation: 2 }] }, [any]],
  ])
  const found = await search
  assert.ok(found)
  t.after(() => {
    channel.close()
    for (const fd of [found.memory, found.lock, found.listeners[0]?.fd, found.orphans[0]?.channel]) fd?.close()
  })
  assert.deepEqual(
    found.orphans.map((orphan) => orphan.adoptee),
    [adoptee],
  )
  assert.deepEqual(
    found.listeners.map(({ place }) => place),
    [PLACE],
  )
  const rest = new FdChannel(found.orphans[0]!.channel, MAX_PACKET_BYTES).receive()
  assert.ok(typeof rest === 'object' && rest.fds.length === 1)
  for (const fd of rest.fds) fd.close()
})

test('planes that end meanwhile, or never come, are not waited for', async (t) => {
  const path = scratch(t)
  assert.equal(await findOrphans({ path, count: () => 1, areAlive: () => false, patienceMs: 60_000 }), null)
  rmSync(path)
  assert.equal(await findOrphans({ path, count: () => 1, areAlive: () => true, patienceMs: 20 }), null)
})
