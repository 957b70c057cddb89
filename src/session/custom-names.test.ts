import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CustomNames, isCustom } from './custom-names.ts'

test('a dot makes a name one of an application', () => {
  assert.ok(isCustom('app.tenant'))
  assert.ok(!isCustom('work_mem'))
})

test('names not heard of for longest make room', () => {
  const names = new CustomNames()
  for (let at = 0; at < 256; at++) names.add(`a.n${at}`)
  names.add('a.n0')
  names.add('a.new')
  assert.equal(names.size, 256)
  assert.ok([...names].includes('a.n0'))
  assert.ok(![...names].includes('a.n1'))
  assert.equal([...names].at(-1), 'a.new')
})
