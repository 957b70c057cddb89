import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_RELATIONS } from '../../shard/database-functions.ts'
import { HarmfulRelations, type RelationRow } from './harmful-relations.ts'

const row = (kind: RelationRow['kind'], at: string | null, other: string | null): RelationRow => {
  const [schema = null, name = null] = at?.split('.') ?? []
  return { kind, relation: at, schema, name, other }
}

/** Relations that lead to the function `bad`: `read: …; written: …`. */
function verdict(...rows: RelationRow[]): string {
  const { read, written } = new HarmfulRelations(rows, (oid) => oid === 'bad').answer
  const names = (list: readonly (readonly [string, string])[]) => list.map((name) => name.join('.')).join(' ')
  return `read: ${names(read)}; written: ${names(written)}`
}

test('nothing leads anywhere without a harmful function', () => {
  const rows = [row('writing', 's.t', 'good'), row('defining', null, 'good'), row('holds', 's.v', 's.t')]
  assert.deepEqual(new HarmfulRelations(rows, () => false).answer, NO_RELATIONS)
})

test('triggers and defaults count for who writes, policies and views for all', () => {
  assert.equal(verdict(row('writing', 's.t', 'bad'), row('reading', 's.p', 'bad')), 'read: s.p; written: s.t')
  assert.equal(verdict(row('writing', 's.t', null)), 'read: ; written: s.t')
})

test('a view is used as what it is made of, over any number of views, also in a circle', () => {
  assert.equal(
    verdict(
      row('reading', 's.v', 'bad'),
      row('holds', 's.w', 's.v'),
      row('holds', 's.x', 's.w'),
      row('holds', 's.w', 's.x'),
      row('holds', 's.y', 's.z'),
    ),
    'read: s.v s.w s.x; written: ',
  )
  assert.equal(verdict(row('writing', 's.t', 'bad'), row('holds', 's.v', 's.t')), 'read: ; written: s.t s.v')
})

test('foreign keys lead from the table that is referred to, to the writing of the other, where they change it', () => {
  assert.equal(
    verdict(
      row('writing', 's.part', 'bad'),
      row('cascades', 's.whole', 's.part'),
      row('truncates', 's.whole', 's.part'),
      row('truncates', 's.root', 's.whole'),
    ),
    'read: ; written: s.part s.whole',
  )
  // Reading the one reads nothing of the other.
  assert.equal(
    verdict(row('reading', 's.part', 'bad'), row('cascades', 's.whole', 's.part')),
    'read: s.part; written: s.whole',
  )
})

test('TRUNCATE … CASCADE comes over all foreign keys', () => {
  assert.equal(
    verdict(
      row('writing', 's.part', 'bad'),
      row('truncating', 's.part', 'bad'),
      row('truncates', 's.whole', 's.part'),
      row('truncates', 's.root', 's.whole'),
    ),
    'read: ; written: s.part s.root s.whole',
  )
})

test('event triggers and operators have no name', () => {
  const found = new HarmfulRelations([row('defining', null, 'bad'), row('everything', null, 'bad')], () => true)
  assert.deepEqual(found.answer, { ...NO_RELATIONS, definitions: true, everything: true })
})
