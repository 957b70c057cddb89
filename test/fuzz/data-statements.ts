import fc from 'fast-check'
import { type Statement, statement, withValues } from './statement.ts'

/** Each client changes rows of its own, so that none waits for another one's lock. */
const change: fc.Arbitrary<Statement> = fc.constantFrom(
  statement("INSERT INTO item (owner, note) VALUES (:me, 'one')"),
  statement("INSERT INTO item (owner, note) VALUES (:me, 'two') RETURNING id, note"),
  withValues(statement('INSERT INTO item (owner, note) VALUES (:me, $1) RETURNING owner'), 'three'),
  withValues(statement('INSERT INTO item (owner, note) VALUES (:me, $1)'), null),
  statement("UPDATE item SET note = note || '!' WHERE owner = :me"),
  statement('DELETE FROM item WHERE owner = :me'),
  statement('SELECT note FROM item WHERE owner = :me ORDER BY id FOR UPDATE'),
)

const select: fc.Arbitrary<Statement> = fc.constantFrom(
  statement('SELECT 1 AS one'),
  statement('SELECT owner, count(*) FROM item GROUP BY owner ORDER BY owner'),
  statement('SELECT * FROM star ORDER BY a'),
  statement('SELECT generate_series(1, 4) AS n'),
  withValues(statement('SELECT $1::int + 1 AS next'), '41'),
  withValues(statement('SELECT $1::text AS a, $2::date AS b'), "o'", '2024-02-29'),
  withValues(statement('SELECT 10 / $1::int AS q'), '0'),
  statement('VALUES (1, NULL), (2, 3)'),
  statement(''),
  statement('-- nothing but a comment'),
  statement('COPY (SELECT a, b FROM star ORDER BY a) TO STDOUT'),
  statement('COPY (SELECT 1/(2-n) FROM generate_series(1, 3) n) TO STDOUT'),
  statement("SELECT shout('hear, hear')", 'pins'),
  statement('CALL step_by_step(:me)', 'pins'),
  statement('EXPLAIN (COSTS OFF) SELECT 1'),
  statement('TABLE fixed'),
  statement(
    "WITH added AS (INSERT INTO item (owner, note) VALUES (:me, 'with') RETURNING note) SELECT note FROM added",
  ),
  withValues(statement('SELECT $1::jsonb AS j, $2::int[] AS n'), '{"a": [1, null]}', '{1,NULL}'),
  statement("DO $$ BEGIN RAISE WARNING 'from a block' USING HINT = 'none', ERRCODE = '01ABC'; END $$", 'pins'),
)

/** Changes of tables take locks that others would wait for. */
const schema: fc.Arbitrary<Statement> = fc.constantFrom(
  statement('ALTER TABLE star ADD COLUMN c int DEFAULT 7', 'alone', 'alters'),
  statement('ALTER TABLE star DROP COLUMN c', 'alone', 'alters'),
  statement('ALTER TABLE star ALTER COLUMN a TYPE bigint', 'alone', 'alters'),
  statement('ALTER TABLE star ALTER COLUMN a TYPE int', 'alone', 'alters'),
  statement('CREATE TABLE made_:me (x int)', 'makes'),
  statement('CREATE TABLE IF NOT EXISTS made_:me (x int)', 'makes'),
  statement('DROP TABLE IF EXISTS made_:me', 'makes'),
  statement('INSERT INTO made_:me VALUES (1)'),
)

/** Reading, writing and changing tables; notices. */
export const dataStatement: fc.Arbitrary<Statement> = fc.oneof(
  { weight: 4, arbitrary: change },
  { weight: 6, arbitrary: select },
  { weight: 1, arbitrary: schema },
)
