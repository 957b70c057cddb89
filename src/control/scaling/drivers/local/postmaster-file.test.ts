import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parsePostmasterFile } from './postmaster-file.ts'

const whole = '4711\n/data\n1763821200\n15432\n/data/socket\n127.0.0.1\n  1234567         5\nready   \n'

test('a complete postmaster.pid gives pid, directory, port, sockets and status', () => {
  assert.deepEqual(parsePostmasterFile(whole), {
    pid: 4711,
    dataDirectory: '/data',
    port: 15432,
    socketDirectory: '/data/socket',
    status: 'ready',
  })
})

test('each status that a server writes is known, another one is unknown', () => {
  for (const status of ['starting', 'stopping', 'ready', 'standby'] as const) {
    assert.equal(parsePostmasterFile(whole.replace('ready   ', status.padEnd(8)))?.status, status)
  }
  assert.equal(parsePostmasterFile(whole.replace('ready   ', 'dancing '))?.status, 'unknown')
})

test('a file of which only the first lines are written yet has no port and no status', () => {
  const file = parsePostmasterFile('4711\n/data\n')
  assert.equal(file?.pid, 4711)
  assert.equal(file?.port, 0)
  assert.equal(file?.status, 'unknown')
})

test('the negative pid of a stand-alone backend is read as its pid', () => {
  assert.equal(parsePostmasterFile('-4711\n/data\n')?.pid, 4711)
})

test('garbage, an empty file and pids that are none are refused', () => {
  for (const text of [
    '',
    '\n',
    'x\n/data\n',
    '0\n/data\n',
    '1\n/data\n',
    '-1\n/data\n',
    '4.5\n/data\n',
    '4711\nrelative\n',
  ]) {
    assert.equal(parsePostmasterFile(text), null, JSON.stringify(text))
  }
})

test('a port out of range counts as not written', () => {
  assert.equal(parsePostmasterFile(whole.replace('15432', '99999'))?.port, 0)
})
