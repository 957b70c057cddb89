import assert from 'node:assert/strict'
import { test } from 'node:test'
import { holdsTlsRecord, parseStartup, parseStartupOptions, type StartupPacket } from './startup.ts'

const limits = { bytes: 10_000, parameters: 3 }
const parse = (bytes: Buffer): StartupPacket & { total: number } => parseStartup(bytes, 0, bytes.length, limits)

/** A packet with a right length word, whatever is in it. */
function packet(code: number, body: Buffer | string = ''): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(8), Buffer.from(body)])
  bytes.writeUInt32BE(bytes.length, 0)
  bytes.writeUInt32BE(code, 4)
  return bytes
}

const VERSION_3 = 0x30000
const SSL = 80877103
const GSS = 80877104
const CANCEL = 80877102

test('requests for encryption are eight bytes', () => {
  assert.deepEqual(parse(packet(SSL)), { kind: 'ssl-request', total: 8 })
  assert.deepEqual(parse(packet(GSS)), { kind: 'gss-request', total: 8 })
})

test('of a parameter that is said twice the last one counts, as in PostgreSQL', () => {
  const seen = parse(packet(VERSION_3, 'user\0a\0user\0b\0\0'))
  assert.ok(seen.kind === 'startup')
  assert.deepEqual([...seen.parameters], [['user', 'b']])
})

test('newer minor versions are understood, because only their negotiation differs', () => {
  const seen = parse(packet(VERSION_3 + 9999, 'user\0a\0\0'))
  assert.ok(seen.kind === 'startup' && seen.minor === 9999)
})

const invalid: readonly (readonly [string, Buffer, string, string | null])[] = [
  ['a length of 7', Buffer.from([0, 0, 0, 7, 0, 3, 0, 0]), '08P01', 'invalid length of startup packet'],
  ['a length above the limit', Buffer.from([0, 0, 0x27, 0x11]), '08P01', 'invalid length of startup packet'],
  ['a length with the highest bit', Buffer.from([0xff, 0xff, 0xff, 0xff]), '08P01', 'invalid length of startup packet'],
  ['HTTP, which gets no answer', Buffer.from('GET / HTTP/1.1\r\n'), '08P01', null],
  ['an empty line, which gets no answer', Buffer.from('\r\n\r\n'), '08P01', null],
  [
    'protocol 2',
    packet(0x20000, 'user\0a\0\0'),
    '0A000',
    'unsupported frontend protocol 2.0: server supports 3.0 to 3.2',
  ],
  [
    'a TLS request with something in it',
    packet(SSL, 'more'),
    '0A000',
    'unsupported frontend protocol 1234.5679: server supports 3.0 to 3.2',
  ],
  [
    'no parameters and no end',
    packet(VERSION_3),
    '08P01',
    'invalid startup packet layout: expected terminator as last byte',
  ],
  [
    'no end after the last parameter',
    packet(VERSION_3, 'user\0a\0'),
    '08P01',
    'invalid startup packet layout: expected terminator as last byte',
  ],
  [
    'bytes behind the end',
    packet(VERSION_3, 'user\0a\0\0x'),
    '08P01',
    'invalid startup packet layout: expected terminator as last byte',
  ],
  ['a name without a value', packet(VERSION_3, 'user\0'), '08P01', 'a text in the message has no end'],
  [
    'too many parameters',
    packet(VERSION_3, 'a\x001\0b\x002\0c\x003\0d\x004\0\0'),
    '08P01',
    'startup packet has more than 3 parameters',
  ],
  ['a cancel request without a key', packet(CANCEL, '1234'), '08P01', 'invalid length of cancel request packet'],
  ['a cancel key of 3 bytes', packet(CANCEL, '1234123'), '08P01', 'invalid length of cancel request packet'],
  ['a cancel key of 257 bytes', packet(CANCEL, 'x'.repeat(261)), '08P01', 'invalid length of cancel request packet'],
]

for (const [title, bytes, sqlstate, message] of invalid) {
  test(`refused: ${title}`, () => {
    const seen = parse(bytes)
    assert.ok(seen.kind === 'invalid', seen.kind)
    assert.deepEqual([seen.sqlstate, seen.message], [sqlstate, message])
  })
}

test('the limit on bytes includes the length word, and the limit on parameters is reached, not passed', () => {
  const bytes = packet(VERSION_3, 'a\x001\0b\x002\0c\x003\0\0')
  assert.equal(parseStartup(bytes, 0, bytes.length, { bytes: bytes.length, parameters: 3 }).kind, 'startup')
  assert.equal(parseStartup(bytes, 0, bytes.length, { bytes: bytes.length - 1, parameters: 3 }).kind, 'invalid')
  assert.equal(parseStartup(bytes, 0, bytes.length, { bytes: bytes.length, parameters: 2 }).kind, 'invalid')
})

test('an impossible length is refused before its bytes have come', () => {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(10_001)
  assert.equal(parse(length).kind, 'invalid')
  length.writeUInt32BE(10_000)
  assert.deepEqual(parse(length), { kind: 'incomplete', total: 10_000 })
})

for (const bytes of [4, 32, 256]) {
  test(`a cancel key of ${bytes} bytes is read whole`, () => {
    const key = Buffer.from(Array.from({ length: bytes }, (_, at) => at & 0xff))
    const seen = parse(packet(CANCEL, Buffer.concat([Buffer.from('fffffffe', 'hex'), key])))
    assert.deepEqual(seen, { kind: 'cancel', processId: -2, key, total: 12 + bytes })
  })
}

const options: readonly (readonly [string, Record<string, string>])[] = [
  ['', {}],
  ['  ', {}],
  ['-c a=b', { a: 'b' }],
  ['-ca=b', { a: 'b' }],
  ['--a=b', { a: 'b' }],
  ['  -c\ta=b\n-c c=d ', { a: 'b', c: 'd' }],
  ['--statement-timeout=5s', { statement_timeout: '5s' }],
  ['-c search_path=a,\\ b', { search_path: 'a, b' }],
  ['-c a=b\\\\c', { a: 'b\\c' }],
  ['-c a=b\\', { a: 'b' }],
  ['-c a=b=c', { a: 'b=c' }],
  ['-c a=', { a: '' }],
  ['-c a-b=c-d', { a_b: 'c-d' }],
  ['-c a=1 -c a=2', { a: '2' }],
  ['-c a=b\u00a0c', { a: 'b\u00a0c' }],
  ['-c a=é😀', { a: 'é😀' }],
]
for (const [text, settings] of options) {
  test(`options ${JSON.stringify(text)} are ${JSON.stringify(settings)}`, () => {
    assert.deepEqual(Object.fromEntries(parseStartupOptions(text) ?? [['refused', '']]), settings)
  })
}

for (const text of [
  '-c',
  '-c a',
  '-c =b',
  '--a',
  '--',
  '--=b',
  '-d 5',
  '-e',
  'a=b',
  '-c a=b c',
  '-',
  '\\-c a=b extra',
]) {
  test(`options ${JSON.stringify(text)} are refused`, () => {
    assert.equal(parseStartupOptions(text), null)
  })
}

test('a record of TLS is waited for until it is whole, and what is none is not', () => {
  const record = Buffer.from('160301000401000000', 'hex')
  for (let end = 0; end <= record.length; end++) assert.equal(holdsTlsRecord(record, 0, end), end === record.length)
  assert.equal(holdsTlsRecord(Buffer.concat([record, record.subarray(0, 3)]), 9, 12), false)
  assert.equal(holdsTlsRecord(Buffer.from('15'), 0, 1), true)
  assert.equal(holdsTlsRecord(Buffer.from('160301ffff', 'hex'), 0, 5), true, 'no record is that long')
})
