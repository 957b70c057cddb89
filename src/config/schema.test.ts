import assert from 'node:assert/strict'
import { test } from 'node:test'
import { propertyName } from './key.ts'
import { absentValue } from './read-section.ts'
import { sections } from './schema.ts'

const context = { directory: '/', readFile: () => 'secret' }
const keys = sections.flatMap(({ path, keys: own }) =>
  Object.entries(own).map(([name, key]) => ({ full: `${path}.${name}`, name, key })),
)

test('every default is allowed by its own key', () => {
  for (const { full, key } of keys) assert.doesNotThrow(() => absentValue(key, context), full)
})

test('every example is allowed by its own key, unless it names a PEM file', () => {
  for (const { full, key } of keys) {
    const reading = key.type.read(key.example, context)
    if (!key.type.allowed.includes('PEM')) assert.equal(reading.ok, true, full)
  }
})

test('every key is snake_case, and says what it is in whole sentences', () => {
  for (const { full, name, key } of keys) {
    assert.match(name, /^[a-z]+(_[a-z]+)*$/, full)
    assert.match(key.doc, /^[A-Z`].*\.$/, full)
  }
})

test('durations end in Ms and sizes in Bytes, once', () => {
  const properties = keys.map(({ full, name, key }) => [full, propertyName(name, key)])
  const property = Object.fromEntries(properties)
  assert.equal(property['timeouts.query_wait'], 'queryWaitMs')
  assert.equal(property['limits.buffer_memory'], 'bufferMemoryBytes')
  assert.equal(property['limits.startup_packet_bytes'], 'startupPacketBytes')
  assert.equal(property['listen.unix_socket_mode'], 'unixSocketMode')
})

test('what is fixed at the start is marked so: listeners, directories, the number of clients', () => {
  const fixed = keys.filter(({ key }) => key.changeable === 'restart').map(({ full }) => full)
  assert.deepEqual(fixed, [
    'listen.addresses',
    'listen.port',
    'listen.unix_socket_directory',
    'listen.unix_socket_mode',
    'listen.backlog',
    'http.address',
    'http.port',
    'limits.max_clients',
    'limits.buffer_memory',
    'log.format',
    'data.directory',
  ])
})

test('every secret can also be read from a file', () => {
  for (const section of sections) {
    for (const [name, key] of Object.entries(section.keys)) {
      if (key.type.secret) assert.ok(`${name}_file` in section.keys, `${section.path}.${name}_file`)
    }
  }
})
