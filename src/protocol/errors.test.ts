import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readErrorFields } from './errors.ts'
import type { ErrorFields } from './messages.ts'
import { MalformedMessage } from './reader.ts'

/** The fields of a message as a server sent it: type and length first. */
function read(hex: string): ErrorFields {
  const bytes = Buffer.from(hex, 'hex')
  assert.equal(bytes.readInt32BE(1) + 1, bytes.length)
  return readErrorFields(bytes, 5, bytes.length)
}

// As PostgreSQL 18.4 sent them.
const ERROR =
  '450000006a534552524f5200564552524f5200433432503031004d72656c6174696f6e20226d697373696e672220646f6573206e6f742065' +
  '78697374005031350046' +
  '70617273655f72656c6174696f6e2e63004c3134363900527061727365724f70656e5461626c650000'
const WARNING =
  '4e00000090535741524e494e4700565741524e494e4700433031303030004d6361726566756c0044612064657461696c0048612068696e74' +
  '0057504c2f706753514c2066756e6374696f6e20696e6c696e655f636f64655f626c6f636b206c696e65203120617420524149534500' +
  '46706c5f657865632e63004c333932330052657865635f73746d745f72616973650000'
const FATAL =
  '450000005a53464154414c0056464154414c00433344303030004d646174616261736520226e6f70652220646f6573206e6f742065786973' +
  '740046706f7374696e69742e63004c313031360052496e6974506f7374677265730000'

test('an error of a real server is read, and fields that we do not use are passed over', () => {
  assert.deepEqual(read(ERROR), {
    severity: 'ERROR',
    sqlstate: '42P01',
    message: 'relation "missing" does not exist',
    detail: undefined,
    hint: undefined,
  })
})

test('a warning of a real server is read with detail and hint', () => {
  assert.deepEqual(read(WARNING), {
    severity: 'WARNING',
    sqlstate: '01000',
    message: 'careful',
    detail: 'a detail',
    hint: 'a hint',
  })
})

test('a fatal error of a real server is read', () => {
  assert.deepEqual(read(FATAL), {
    severity: 'FATAL',
    sqlstate: '3D000',
    message: 'database "nope" does not exist',
    detail: undefined,
    hint: undefined,
    routine: 'InitPostgres',
  })
})

const body = (text: string): ErrorFields => readErrorFields(Buffer.from(text), 0, Buffer.byteLength(text))

test('the severity that is never translated counts before the one that may be', () => {
  assert.equal(body('SFEHLER\0VFATAL\0C57P01\0\0').severity, 'FATAL')
  // PostgreSQL before 9.6 sends no V.
  assert.equal(body('SFATAL\0C57P01\0\0').severity, 'FATAL')
  assert.equal(body('SWARNING\0C01000\0\0').severity, 'WARNING')
})

test('severities map to those we tell apart: PANIC ends a connection like FATAL, unknown ones are errors', () => {
  const seen = ['ERROR', 'FATAL', 'PANIC', 'WARNING', 'NOTICE', 'LOG', 'FEHLER'].map(
    (one) => body(`V${one}\0\0`).severity,
  )
  assert.deepEqual(seen, ['ERROR', 'FATAL', 'FATAL', 'WARNING', 'NOTICE', 'ERROR', 'ERROR'])
})

test('an error without any field is an internal error without words', () => {
  assert.deepEqual(body('\0'), {
    severity: 'ERROR',
    sqlstate: 'XX000',
    message: '',
    detail: undefined,
    hint: undefined,
  })
})

test('every truncation is malformed', () => {
  const bytes = Buffer.from(ERROR, 'hex')
  for (let end = 5; end < bytes.length; end++) {
    assert.throws(() => readErrorFields(bytes, 5, end), MalformedMessage, `cut at ${end}`)
  }
})

test('arbitrary bytes are fields or malformed, nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (garbage) => {
      try {
        readErrorFields(Buffer.from(garbage), 0, garbage.length)
      } catch (error) {
        assert.ok(error instanceof MalformedMessage, String(error))
      }
    }),
  )
})
