import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReadScan } from './read-scan.ts'

const scan = new ReadScan()

function isRead(sql: string): boolean {
  const bytes = Buffer.from(`xx${sql}yy`)
  return scan.isRead(bytes, 2, bytes.length - 2)
}

const reads = [
  'SELECT 1',
  'select * from orders where id = $1',
  '(SELECT 1) UNION (SELECT 2)',
  'WITH recent AS (SELECT * FROM orders) SELECT count(*) FROM recent',
  'VALUES (1), (2)',
  'TABLE orders',
  'SELECT 1; SELECT 2;',
  "SELECT 'insert into pg_class', $$update$$ /* delete */ -- share",
  'SELECT substring(name for 3) FROM users',
  'SELECT logs, pgx, "update" FROM t',
]

const others = [
  '',
  ';',
  'INSERT INTO t VALUES (1)',
  'SELECT 1; DELETE FROM t',
  'WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone',
  'SELECT * INTO copy FROM t',
  'SELECT * FROM t FOR UPDATE',
  'SELECT * FROM t FOR NO KEY UPDATE',
  'SELECT * FROM t FOR SHARE',
  'SELECT pg_is_in_recovery()',
  'SELECT * FROM PG_STAT_ACTIVITY',
  'SELECT * FROM "pg_locks"',
  'SELECT U&"\\0070g_is_in_recovery"()',
  'SELECT lo_create(0)',
  "SELECT nextval('s')",
  'SELECT last_value FROM s',
  "SELECT current_setting('transaction_read_only')",
  'SELECT inet_server_port()',
  'BEGIN',
  'SHOW transaction_read_only',
  'EXPLAIN SELECT 1',
  'SET x = 1',
  'COPY t TO STDOUT',
  "SELECT 'unfinished",
]

test('in a READ ONLY transaction also what is about it', () => {
  const readOnly = (sql: string) => scan.isRead(Buffer.from(sql), 0, sql.length, true)
  const texts = [
    'DECLARE c CURSOR FOR SELECT * FROM t',
    'EXPLAIN SELECT 1',
    "SET LOCAL work_mem = '8MB'",
    'SAVEPOINT s',
  ]
  for (const sql of texts) {
    assert.equal(readOnly(sql), true, sql)
    assert.equal(isRead(sql), false, sql)
  }
  for (const sql of [
    'INSERT INTO t VALUES (1)',
    'EXPLAIN ANALYZE DELETE FROM t',
    'SELECT pg_backend_pid()',
    'LISTEN c',
  ])
    assert.equal(readOnly(sql), false, sql)
})

for (const sql of reads) test(`reads: ${sql}`, () => assert.equal(isRead(sql), true))
for (const sql of others) test(`may be more than a read: ${sql}`, () => assert.equal(isRead(sql), false))
