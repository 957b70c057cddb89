import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Echo } from '../server/client-delivery.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ParameterSet } from '../session/parameters.ts'
import { isReplaying, type ReplayingSession, replayedSettings, resumeReplay, snapshotReplay } from './kept-replay.ts'

const ECHO: Echo = { bytes: 7, crc: 1, answered: 0, isMidMessage: false, of: 'transaction' }
const NOW = { name: 'now' } as unknown as ParameterSet
const BEFORE = { name: 'before' } as unknown as ParameterSet

/** A session that runs something again. `sent`: of that, to its server connection; null: too long to be kept. */
function session({
  echo = null as Echo | null,
  delivered = null as Echo | null,
  hasDiverged = false,
  sent = Buffer.from('select 1') as Buffer | null,
  isMidMessage = false,
  startedWith = null as ParameterSet | null,
} = {}): ReplayingSession {
  const delivery = { echo: delivered, hasDiverged, isEchoing: delivered !== null }
  const server = { relay: { delivery }, work: { sent: { whole: sent, length: sent?.length ?? 99_999 }, startedWith } }
  return {
    server: server as unknown as ServerConnection,
    settings: { parameters: NOW } as unknown as ReplayingSession['settings'],
    requests: { midMessage: isMidMessage, runs: { times: 2 } } as unknown as ReplayingSession['requests'],
    echo,
  }
}

test('what is to be run again, of which nothing was sent, is kept as it is', () => {
  const waiting = session({ echo: ECHO })
  assert.equal(isReplaying(waiting), true)
  assert.deepEqual(snapshotReplay(waiting), { echo: ECHO, sent: '', runs: 2 })
})

test('what was sent of it is kept, so that it can be sent once more', () => {
  const under = session({ delivered: ECHO })
  assert.equal(isReplaying(under), true)
  assert.deepEqual(snapshotReplay(under), { echo: ECHO, sent: 'c2VsZWN0IDE=', runs: 2 })
  assert.deepEqual(snapshotReplay(session({ delivered: ECHO, sent: Buffer.alloc(0) }))?.sent, '')
})

test('a session that runs nothing again has nothing to keep', () => {
  assert.equal(isReplaying(session()), false)
  assert.equal(snapshotReplay(session()), null)
  assert.equal(snapshotReplay({ ...session({ delivered: ECHO }), server: null }), null)
})

test('nobody can go on with what has differed, is in the middle of a message, or was too long to be kept', () => {
  assert.equal(snapshotReplay(session({ delivered: ECHO, hasDiverged: true })), null)
  assert.equal(snapshotReplay(session({ delivered: ECHO, isMidMessage: true })), null)
  assert.equal(snapshotReplay(session({ delivered: ECHO, sent: null })), null)
})

test('it begins with the settings that it began with, or with those of the session', () => {
  assert.equal(replayedSettings(session({ delivered: ECHO, startedWith: BEFORE })), BEFORE)
  assert.equal(replayedSettings(session({ delivered: ECHO })), NOW)
  assert.equal(replayedSettings(session({ echo: ECHO, startedWith: BEFORE })), NOW, 'of that nothing was sent')
})

test('another process begins with it once more, and not on a replica', () => {
  const story: string[] = []
  const runs = { times: 0 }
  const resumed = {
    settings: { changeServer: () => story.push('another server') },
    requests: { statements: { book: { abandon: () => story.push('statements') } }, runs },
    reader: { unread: (bytes: Buffer) => story.push(bytes.toString()) > 0 },
    seat: { reads: { avoidReplicas: () => story.push('no replica') } },
    echo: null as Echo | null,
  }
  const snapshot = { echo: ECHO, sent: 'c2VsZWN0IDE=', runs: 2 }
  assert.equal(resumeReplay(resumed as unknown as Parameters<typeof resumeReplay>[0], snapshot), true)
  assert.deepEqual(story, ['statements', 'another server', 'no replica', 'select 1'])
  assert.deepEqual([runs.times, resumed.echo], [2, ECHO])
})
