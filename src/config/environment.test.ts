import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { readEnvironment } from './environment.ts'

test('the environment alone gives ports as numbers and the data directory as an absolute path', () => {
  const environment = { SWITCHYARD_PORT: '7000', SWITCHYARD_HTTP_PORT: '0', SWITCHYARD_DATA: 'data', PATH: '/bin' }
  assert.deepEqual(readEnvironment(environment), { port: 7000, httpPort: 0, dataDirectory: resolve('data') })
})

test('what is not set, or empty, has no value', () => {
  const nothing = { port: undefined, httpPort: undefined, dataDirectory: undefined }
  assert.deepEqual(readEnvironment({ SWITCHYARD_PORT: '', SWITCHYARD_DATA: '' }), nothing)
})

test('every wrong variable is named', () => {
  assert.throws(
    () => readEnvironment({ SWITCHYARD_PORT: '-1', SWITCHYARD_HTTP_PORT: '0x50' }),
    (error: Error) => {
      const places = error.message.split('\n').map((line) => line.split(' ')[0])
      assert.deepEqual(places, ['SWITCHYARD_PORT', 'SWITCHYARD_HTTP_PORT'])
      return error.name === 'ConfigError'
    },
  )
})
