import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import pg from 'pg'
import { Testbed } from '../support/testbed.ts'

const bed = await Testbed.open({ settings: { pool: { size: 3 } } })

/** A type, what is sent, and what node-postgres makes of what comes back; the same as was sent when left out. */
type RoundTrip = readonly [type: string, sent: unknown, received?: unknown]

const ROUND_TRIPS: readonly RoundTrip[] = [
  ['int8', '9223372036854775807'],
  ['int8', '-9223372036854775808'],
  ['int8', 42n, '42'],
  ['int4', -2147483648],
  ['float8', 5e-324],
  ['float8', Number.NEGATIVE_INFINITY],
  ['float8', Number.NaN],
  ['numeric', `${'9'.repeat(500)}.${'1'.repeat(200)}`],
  ['numeric', '-0.000000000000000000000000000001'],
  ['numeric', 'NaN'],
  ['numeric', 'Infinity'],
  ['bool', false],
  ['text', null],
  ['text', ''],
  ['text', 'x'.repeat(70_000)],
  ['bytea', Buffer.alloc(0)],
  ['bytea', Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))],
  ['bytea', randomBytes(200_000)],
  ['json', '{"a" :  1}', { a: 1 }],
  ['jsonb', { text: 'a "quoted" \\ text', list: [null, true, 1.5], nested: { deep: [[]] } }],
  ['timestamptz', new Date('2024-02-29T23:59:59.999Z')],
  ['timestamptz', new Date('0001-01-01T00:00:00.000Z')],
  ['timestamptz', 'infinity', Number.POSITIVE_INFINITY],
  ['interval', '1 year 2 mons 3 days', { years: 1, months: 2, days: 3 }],
  ['uuid', '00000000-0000-4000-8000-00000000abcd'],
  ['inet', '2001:db8::/32'],
  ['int4range', '[1,9)'],
  ['int4range', 'empty'],
  ['numrange', '(,10.5]'],
  ['tstzrange', '["2024-01-01 00:00:00+00","2024-01-02 00:00:00+00")'],
  ['datemultirange', '{[2024-01-01,2024-01-05),[2024-02-01,)}'],
  ['point', { x: 1.5, y: -2 }],
  ['bit varying', '010011'],
  ['tsvector', "'fat':2 'rat':3"],
  ['int4[]', [1, null, -3]],
  [
    'int4[]',
    [
      [1, 2],
      [3, 4],
    ],
  ],
  ['int8[]', ['9007199254740993', null]],
  ['text[]', ['', 'NULL', 'null', ' ', '{', '}', ',', '"', '\\', "'", 'a,b', 'line\nbreak', 'ü']],
  ['bytea[]', [Buffer.from([0, 255]), Buffer.alloc(0)]],
  ['jsonb[]', [{ a: 1 }, [1, '}']], [{ a: 1 }, [1, '}']]],
  ['timestamptz[]', [new Date(0)]],
  ['numeric[]', ['1.10', '2'], [1.1, 2]],
]

/** The point as it has to be sent. */
function toParameter(type: string, value: unknown): unknown {
  if (type === 'point') return '(1.5,-2)'
  return type === 'jsonb[]' ? (value as unknown[]).map((element) => JSON.stringify(element)) : value
}

test('values of many types come back as they were sent, from whichever server connection', async () => {
  const clients = await Promise.all(Array.from({ length: 8 }, () => bed.connectPg({ options: '-c TimeZone=UTC' })))
  await Promise.all(
    clients.map(async (client, shift) => {
      for (let n = 0; n < ROUND_TRIPS.length; n += 1) {
        const [type, sent, received = sent] = ROUND_TRIPS[(n + 5 * shift) % ROUND_TRIPS.length] as RoundTrip
        const named = n % 2 === 0 ? { name: `as ${type}` } : {}
        const { rows } = await client.query({
          ...named,
          text: `SELECT $1::${type} AS value`,
          values: [toParameter(type, sent)],
        })
        const { value } = rows[0]
        // Intervals come as objects of a class of their own.
        const plain = type === 'interval' ? { ...value } : value
        assert.deepEqual(plain, received, type)
      }
    }),
  )
})

/** All of Unicode that PostgreSQL takes, and the order of characters that trips parsers. */
const awkwardText = fc.array(
  fc.oneof(
    fc.constantFrom("'", '"', '\\', "\\'", "''", '$1', '$$', '$tag$', '--', '/*', '*/', ';', '?', ':x', '%s', '{', '}'),
    fc.constantFrom(
      '\r',
      '\n',
      '\t',
      '\u0001',
      '\u007f',
      '\u00a0',
      '\u200b',
      '\u202e',
      '\ufeff',
      '\uffff',
      '👩‍👩‍👧',
      'é',
      'e\u0301',
    ),
    fc.string({ unit: 'binary' }),
  ),
  { maxLength: 12 },
)

const texts = awkwardText.map((parts) => parts.join('').replaceAll('\0', ''))

test('any text comes back, as a parameter, a literal, an array and JSON', async () => {
  const client = await bed.connectPg()
  await fc.assert(
    fc.asyncProperty(fc.array(texts, { maxLength: 5 }), async (list) => {
      const joined = list.join('')
      const parameters = await client.query('SELECT $1::text AS text, $2::text[] AS list, $3::jsonb AS json', [
        joined,
        list,
        { [joined]: list },
      ])
      assert.deepEqual(parameters.rows, [{ text: joined, list, json: { [joined]: list } }])
      const literal = await client.query(`SELECT ${pg.escapeLiteral(joined)} AS text`)
      assert.equal(literal.rows[0].text, joined)
    }),
    { numRuns: 150 },
  )
})

test('any text of 63 bytes is a name of a column', async () => {
  const client = await bed.connectPg()
  for (const name of [
    'a"b',
    "it's",
    'back\\slash',
    '$1',
    ';--',
    '/* */',
    'new\nline',
    'ünïcödé',
    '👩‍👩‍👧',
    'x'.repeat(63),
  ]) {
    const { fields, rows } = await client.query(`SELECT 1 AS ${pg.escapeIdentifier(name)}`)
    assert.equal(fields[0]?.name, name)
    assert.deepEqual(rows, [{ [name]: 1 }])
  }
})

test('every character of the Basic Multilingual Plane and some beyond it', async () => {
  const client = await bed.connectPg()
  const codes = Array.from({ length: 0x10000 }, (_, code) => code).filter(
    (code) => code > 0 && (code < 0xd800 || code > 0xdfff),
  )
  const all =
    String.fromCodePoint(...codes.slice(0, 30_000)) +
    String.fromCodePoint(...codes.slice(30_000), 0x10000, 0x1f600, 0x10ffff)
  const { rows } = await client.query('SELECT $1::text AS text, length($1::text) AS length', [all])
  assert.equal(rows[0].text, all)
  assert.equal(rows[0].length, codes.length + 3)
})

test('rows as arrays, with columns of the same name', async () => {
  const client = await bed.connectPg()
  const { rows } = await client.query({ text: 'SELECT 1 AS same, 2 AS same, NULL AS same', rowMode: 'array' })
  assert.deepEqual(rows, [[1, 2, null]])
})

test('a result of a thousand columns, a row of a thousand parameters, and none at all', async () => {
  const client = await bed.connectPg()
  const numbers = Array.from({ length: 1000 }, (_, n) => n)
  const wide = await client.query({
    text: `SELECT ${numbers.map((n) => `$${n + 1}::int`).join(', ')}`,
    values: numbers,
    rowMode: 'array',
  })
  assert.deepEqual(wide.rows, [numbers])
  const none = await client.query('SELECT')
  assert.deepEqual([none.fields.length, none.rows], [0, [{}]])
  const empty = await client.query('')
  assert.deepEqual([empty.command, empty.rows], [null, []])
})
