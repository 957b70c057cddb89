import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { WordTable, wordHash } from './word-table.ts'

const word = fc.stringMatching(/^[a-z_][a-z0-9_$]{0,12}$/)
const entry = fc.tuple(word, fc.integer({ min: 1, max: 0x7fffffff }))

function find(table: WordTable, spelling: string, hash = wordHash(spelling.toLowerCase())): number {
  const bytes = Buffer.from(`(${spelling})`)
  return table.find(bytes, 1, bytes.length - 1, hash)
}

test('a word has the meaning it was given last, in any case; every other word has none', () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 60 }), fc.array(word, { maxLength: 20 }), (entries, others) => {
      const model = new Map(entries)
      const table = new WordTable(entries)
      for (const spelling of [...model.keys(), ...others]) {
        const meaning = model.get(spelling) ?? 0
        assert.equal(find(table, spelling), meaning)
        assert.equal(find(table, spelling.toUpperCase()), meaning)
      }
    }),
  )
})

test('words whose hashes collide are told apart by their bytes', () => {
  const table = new WordTable([['select', 7]])
  assert.equal(find(table, 'insert', wordHash('select')), 0)
  assert.equal(find(table, 'selects', wordHash('select')), 0)
  assert.equal(find(table, 'selec', wordHash('select')), 0)
})

test('an empty table knows no word', () => {
  assert.equal(find(new WordTable([]), 'select'), 0)
})
