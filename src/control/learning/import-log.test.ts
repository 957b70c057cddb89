import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FEATURE } from '../../analyzer/feature-schema.ts'
import { importLog } from './import-log.ts'

const CSV = [
  '2026-01-02 03:04:05.000 UTC,"alice","shop",77,"10.0.0.9:5000",6a.1,1,"authentication",2026-01-02 03:04:04 UTC,3/1,0,LOG,00000,"connection authorized: user=alice",,,,,,,,,"web-7","client backend"',
  '2026-01-02 03:04:06.000 UTC,"alice","shop",77,"10.0.0.9:5000",6a.1,2,"SELECT",2026-01-02 03:04:04 UTC,3/1,0,LOG,00000,"duration: 4.000 ms  statement: select \'a, ""b""\n c\'",,,,,,,,,"web-7","client backend"',
  '2026-01-02 03:04:07.000 UTC,"alice","shop",77,"10.0.0.9:5000",6a.1,3,"idle",2026-01-02 03:04:04 UTC,,0,LOG,00000,"disconnection: session time: 0:00:03 user=alice database=shop host=10.0.0.9 port=5000",,,,,,,,,"web-7","client backend"',
  '',
].join('\n')

const json = (fields: Record<string, unknown>): string =>
  JSON.stringify({
    user: 'alice',
    dbname: 'shop',
    session_id: '6a.1',
    remote_host: '10.0.0.9',
    application_name: 'web-7',
    ...fields,
  })

const JSON_LINES = [
  json({ timestamp: '2026-01-02 03:04:05.000 UTC', error_severity: 'LOG', message: 'connection authorized' }),
  json({ timestamp: '2026-01-02 03:04:05.500 UTC', ps: 'BIND', message: 'duration: 9 ms  bind s1: select $1' }),
  json({ timestamp: '2026-01-02 03:04:06.000 UTC', ps: 'SELECT', message: 'duration: 4.0 ms  execute s1: select $1' }),
  json({ timestamp: '2026-01-02 03:04:07.000 UTC', message: 'disconnection: session time: 0:00:03' }),
].join('\n')

const BOUNCER = [
  '2026-01-02 03:04:05.000 UTC [1] LOG C-0x55d: shop/alice@10.0.0.9:5000 login attempt: db=shop user=alice tls=no',
  '2026-01-02 03:04:05.500 UTC [1] LOG stats: 5 xacts/s',
  '2026-01-02 03:04:07.000 UTC [1] LOG C-0x55d: shop/alice@10.0.0.9:5000 closing because: client close request (age=2s)',
].join('\n')

describe('history of a log', () => {
  for (const [format, text] of [
    ['csvlog', CSV],
    ['jsonlog', JSON_LINES],
  ] as const) {
    it(`in the form ${format} is what a plane would have seen`, () => {
      const { rows, format: found } = importLog('/logs/a.log', text)
      assert.equal(found, format)
      assert.deepEqual(
        rows.map(({ kind, queries, user, application, subnet }) => [kind, queries, user, application, subnet]),
        [
          ['running', 0, 'alice', 'web-#', '10.0.0.0/24'],
          ['running', 1, 'alice', 'web-#', '10.0.0.0/24'],
          ['end', 1, 'alice', 'web-#', '10.0.0.0/24'],
        ],
      )
      const [, after] = rows
      assert.ok(Math.abs((after?.features[FEATURE.duration] as number) - 2) < 0.1, '4 ms')
      assert.equal(after?.features[FEATURE.selects], 1)
      assert.equal(after?.time, Date.UTC(2026, 0, 2, 3, 4, 6))
    })
  }

  it('of PgBouncer knows who came and went', () => {
    const { rows, format } = importLog('b.log', BOUNCER)
    assert.equal(format, 'pgbouncer')
    assert.deepEqual(
      rows.map(({ kind, user, database }) => [kind, user, database]),
      [
        ['running', 'alice', 'shop'],
        ['end', 'alice', 'shop'],
      ],
    )
  })

  it('that is none is empty', () => {
    assert.deepEqual(importLog('c', 'hello\nworld, "').rows, [])
  })
})
