import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FEATURE, FEATURE_COUNT } from './feature-schema.ts'
import { makeVocabulary, VocabularyIndex } from './vocabulary.ts'

const connection = (user: string, code = 0) => ({ user, database: 'shop', application: 'a', subnet: 'local', code })

test('names come in the order of what their connections are, so that those of one tier are neighbours', () => {
  const connections = [
    ...Array.from({ length: 9 }, () => connection('batch', 3)),
    ...Array.from({ length: 5 }, () => connection('web', 0)),
    ...Array.from({ length: 3 }, () => connection('load', 3)),
    ...Array.from({ length: 7 }, () => connection('api', 0)),
  ]
  const vocabulary = makeVocabulary(connections, ({ code }) => code)
  assert.deepEqual(vocabulary.users, ['api', 'web', 'load', 'batch'])
  assert.deepEqual(
    vocabulary.pairs.map(([, count]) => count),
    [7, 5, 3, 9],
  )
  assert.deepEqual(makeVocabulary(connections).users, ['batch', 'api', 'web', 'load'])
})

test('of too many names the most frequent are kept', () => {
  const many = Array.from({ length: 300 }, (_, at) => connection(`u${at}`, at % 4))
  const { users } = makeVocabulary([...many, ...many.slice(250)], ({ code }) => code)
  assert.equal(users.length, 255)
  for (let at = 250; at < 300; at++) assert.ok(users.includes(`u${at}`))
})

test('a name that is not in it is 0', () => {
  const vector = new Float32Array(FEATURE_COUNT)
  new VocabularyIndex(makeVocabulary([connection('web')])).write(connection('stranger'), vector, 0)
  assert.deepEqual([vector[FEATURE.userId], vector[FEATURE.databaseId], vector[FEATURE.pairId]], [0, 1, 0])
})
