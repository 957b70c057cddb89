import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readErrorFields } from './errors.ts'
import { HEADER_BYTES, lengthAt } from './message-type.ts'
import * as messages from './messages.ts'
import { MessageReader } from './reader.ts'
import { parseStartup } from './startup.ts'
import { MessageWriter } from './writer.ts'

const text = fc.string({ unit: 'grapheme' }).map((value) => value.replaceAll('\0', ''))
const name = text.filter((value) => value !== '')
const bytes = fc.uint8Array({ maxLength: 400 }).map((value) => Buffer.from(value))
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })

const rest = (reader: MessageReader): Buffer => Buffer.from(reader.raw(reader.remaining))
const texts = (reader: MessageReader, count: number): string[] => Array.from({ length: count }, () => reader.text())
function textList(reader: MessageReader): string[] {
  const list: string[] = []
  for (let one = reader.text(); one !== ''; one = reader.text()) list.push(one)
  return list
}

/** One message: its values, how we write them, and how they are read back from its body. */
interface Case<T> {
  readonly type: string
  readonly values: fc.Arbitrary<T>
  readonly write: (writer: MessageWriter, values: T) => void
  readonly read: (reader: MessageReader) => unknown
}
const define = <T>(definition: Case<T>): Case<T> => definition

const cases = {
  ready: define({
    type: 'Z',
    values: fc.constantFrom(0x49, 0x54, 0x45),
    write: messages.writeReady,
    read: (reader) => reader.byte(),
  }),
  authenticationOk: define({
    type: 'R',
    values: fc.constant(0),
    write: messages.writeAuthenticationOk,
    read: (reader) => reader.int32(),
  }),
  authenticationCleartext: define({
    type: 'R',
    values: fc.constant(3),
    write: messages.writeAuthenticationCleartext,
    read: (reader) => reader.int32(),
  }),
  authenticationMd5: define({
    type: 'R',
    values: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((salt) => [5, Buffer.from(salt)] as const),
    write: (writer, [, salt]) => messages.writeAuthenticationMd5(writer, salt),
    read: (reader) => [reader.int32(), rest(reader)],
  }),
  authenticationSasl: define({
    type: 'R',
    values: fc.array(name, { maxLength: 4 }).map((mechanisms) => [10, mechanisms] as const),
    write: (writer, [, mechanisms]) => messages.writeAuthenticationSasl(writer, mechanisms),
    read: (reader) => [reader.int32(), textList(reader)],
  }),
  authenticationSaslContinue: define({
    type: 'R',
    values: bytes.map((data) => [11, data] as const),
    write: (writer, [, data]) => messages.writeAuthenticationSaslContinue(writer, data),
    read: (reader) => [reader.int32(), rest(reader)],
  }),
  authenticationSaslFinal: define({
    type: 'R',
    values: bytes.map((data) => [12, data] as const),
    write: (writer, [, data]) => messages.writeAuthenticationSaslFinal(writer, data),
    read: (reader) => [reader.int32(), rest(reader)],
  }),
  parameterStatus: define({
    type: 'S',
    values: fc.tuple(text, text),
    write: (writer, [key, value]) => messages.writeParameterStatus(writer, key, value),
    read: (reader) => texts(reader, 2),
  }),
  backendKeyData: define({
    type: 'K',
    values: fc.tuple(int32, bytes),
    write: (writer, [processId, key]) => messages.writeBackendKeyData(writer, processId, key),
    read: (reader) => [reader.int32(), rest(reader)],
  }),
  negotiateProtocolVersion: define({
    type: 'v',
    values: fc.tuple(fc.integer({ min: 0, max: 0xffff }), fc.array(text, { maxLength: 5 })),
    write: (writer, [minor, unknown]) => messages.writeNegotiateProtocolVersion(writer, minor, unknown),
    read: (reader) => {
      const version = reader.int32()
      assert.equal(version >>> 16, 3)
      return [version & 0xffff, texts(reader, reader.int32())]
    },
  }),
  query: define({ type: 'Q', values: text, write: messages.writeQuery, read: (reader) => reader.text() }),
  parse: define({
    type: 'P',
    values: fc.tuple(text, bytes),
    write: (writer, [statement, tail]) => messages.writeParse(writer, statement, tail),
    read: (reader) => [reader.text(), rest(reader)],
  }),
  closeStatement: define({
    type: 'C',
    values: text.map((statement) => [0x53, statement] as const),
    write: (writer, [, statement]) => messages.writeCloseStatement(writer, statement),
    read: (reader) => [reader.byte(), reader.text()],
  }),
  password: define({ type: 'p', values: text, write: messages.writePassword, read: (reader) => reader.text() }),
  saslInitial: define({
    type: 'p',
    values: fc.tuple(text, bytes),
    write: (writer, [mechanism, data]) => messages.writeSaslInitial(writer, mechanism, data),
    read: (reader) => [reader.text(), Buffer.from(reader.raw(reader.int32()))],
  }),
  saslResponse: define({ type: 'p', values: bytes, write: messages.writeSaslResponse, read: rest }),
}

for (const [title, one] of Object.entries(cases) as [string, Case<unknown>][]) {
  test(`${title}: what is written is read back, to the last byte`, () => {
    fc.assert(
      fc.property(one.values, fc.integer({ min: 1, max: 64 }), (values, capacity) => {
        const writer = new MessageWriter(capacity)
        one.write(writer, values)
        const message = writer.bytes
        assert.equal(String.fromCharCode(message[0] as number), one.type)
        assert.equal(lengthAt(message, 1) + 1, message.length)
        const reader = new MessageReader(message, HEADER_BYTES, message.length)
        assert.deepEqual(one.read(reader), values)
        assert.equal(reader.remaining, 0)
      }),
      { numRuns: 60 },
    )
  })
}

test('errors and notices: what is written is read back, absent fields included', () => {
  const optional = fc.option(text, { nil: undefined })
  const fields = fc.record(
    {
      severity: fc.constantFrom('ERROR' as const, 'FATAL' as const, 'WARNING' as const, 'NOTICE' as const),
      sqlstate: fc.stringMatching(/^[0-9A-Z]{5}$/),
      message: text,
      detail: optional,
      hint: optional,
    },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(fields, (values) => {
      const writer = new MessageWriter(1)
      messages.writeError(writer, values)
      const message = writer.bytes
      const isNotice = values.severity === 'WARNING' || values.severity === 'NOTICE'
      assert.equal(String.fromCharCode(message[0] as number), isNotice ? 'N' : 'E')
      assert.deepEqual(readErrorFields(message, HEADER_BYTES, message.length), values)
    }),
  )
})

test('several messages in one writer stay apart, and reset forgets them', () => {
  const chosen = fc.constantFrom(...(Object.values(cases) as Case<unknown>[]))
  const sequence = fc.array(
    chosen.chain((one) => one.values.map((values) => ({ one, values }))),
    { maxLength: 8 },
  )
  fc.assert(
    fc.property(sequence, (list) => {
      const writer = new MessageWriter(8)
      messages.writeQuery(writer, 'forgotten')
      writer.reset()
      for (const { one, values } of list) one.write(writer, values)
      const all = writer.bytes
      assert.equal(writer.length, all.length)
      let at = 0
      for (const { one, values } of list) {
        const end = at + 1 + lengthAt(all, at + 1)
        assert.deepEqual(one.read(new MessageReader(all, at + HEADER_BYTES, end)), values)
        at = end
      }
      assert.equal(at, all.length)
    }),
  )
})

test('startup, TLS and cancel requests are what the parser of the first packet reads', () => {
  const limits = { bytes: 100_000, parameters: 100 }
  const key = fc.uint8Array({ minLength: 4, maxLength: 256 }).map((value) => Buffer.from(value))
  const parameters = fc.uniqueArray(fc.tuple(name, text), { maxLength: 8, selector: ([one]) => one })
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff }), parameters, int32, key, (minor, pairs, processId, cancelKey) => {
      const writer = new MessageWriter(16)
      messages.writeSslRequest(writer)
      const sslEnd = writer.length
      messages.writeCancelRequest(writer, processId, cancelKey)
      const cancelEnd = writer.length
      messages.writeStartup(writer, minor, pairs)
      const all = writer.bytes
      assert.deepEqual(parseStartup(all, 0, all.length, limits), { kind: 'ssl-request', total: sslEnd })
      assert.deepEqual(parseStartup(all, sslEnd, all.length, limits), {
        kind: 'cancel',
        processId,
        key: cancelKey,
        total: cancelEnd - sslEnd,
      })
      assert.deepEqual(parseStartup(all, cancelEnd, all.length, limits), {
        kind: 'startup',
        major: 3,
        minor,
        parameters: new Map(pairs),
        total: all.length - cancelEnd,
      })
    }),
  )
})

test('numbers of every size are written as they are read', () => {
  fc.assert(
    fc.property(fc.nat(255), fc.integer({ min: -32_768, max: 32_767 }), int32, (byte, short, long) => {
      const { bytes: written } = new MessageWriter(1).begin(0x78).byte(byte).int16(short).int32(long).end()
      const reader = new MessageReader(written, HEADER_BYTES, written.length)
      assert.deepEqual([reader.byte(), reader.int16(), reader.int32(), reader.remaining], [byte, short, long, 0])
    }),
  )
})

test('messages without fields are their header alone', () => {
  const bare = { 1: messages.PARSE_COMPLETE, 3: messages.CLOSE_COMPLETE, S: messages.SYNC, H: messages.FLUSH }
  for (const [type, message] of Object.entries({ ...bare, X: messages.TERMINATE })) {
    assert.deepEqual(Buffer.from(message), Buffer.from(`${type}\0\0\0\x04`, 'latin1'))
  }
})
