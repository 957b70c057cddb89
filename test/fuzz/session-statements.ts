import fc from 'fast-check'
import { type Statement, statement } from './statement.ts'

const temporary: fc.Arbitrary<Statement> = fc.constantFrom(
  statement('CREATE TEMP TABLE mine (x int)', 'pins'),
  statement('CREATE TEMP TABLE mine (x int) ON COMMIT DROP', 'pins'),
  statement('CREATE TEMPORARY TABLE IF NOT EXISTS mine (x int) ON COMMIT DELETE ROWS', 'pins'),
  statement('CREATE TABLE pg_temp.mine AS SELECT 5 AS x', 'pins'),
  statement('INSERT INTO mine VALUES (1), (2)'),
  statement('SELECT x FROM mine ORDER BY x'),
  statement('DROP TABLE mine'),
  statement('CREATE TEMP SEQUENCE mine_numbers', 'pins'),
  statement('DISCARD TEMP'),
  statement('SELECT a INTO TEMP mine FROM star', 'pins'),
  statement('CREATE TEMP VIEW mine_seen AS SELECT 5 AS x', 'pins'),
  statement('SELECT x FROM mine_seen'),
  statement("CREATE FUNCTION pg_temp.own() RETURNS int LANGUAGE sql AS 'SELECT 9'", 'pins'),
  statement('DO $$ BEGIN CREATE TEMP TABLE IF NOT EXISTS mine (x int); INSERT INTO mine VALUES (8); END $$', 'pins'),
)

/** Locks that others hold are only tried for; each client waits for locks of its own at most. */
const advisory: fc.Arbitrary<Statement> = fc.constantFrom(
  statement('SELECT pg_advisory_lock(100 + :me)', 'pins'),
  statement('SELECT pg_advisory_unlock(100 + :me)'),
  statement('SELECT pg_advisory_unlock(1)'),
  statement('SELECT pg_try_advisory_lock(1)', 'pins'),
  statement('SELECT pg_try_advisory_lock_shared(1)', 'pins'),
  statement('SELECT pg_try_advisory_xact_lock(1)'),
  statement('SELECT pg_advisory_xact_lock(200 + :me)'),
  statement('SELECT pg_advisory_unlock_all()'),
  statement("SELECT objid, mode FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() ORDER BY 1, 2"),
)

const cursor: fc.Arbitrary<Statement> = fc.constantFrom(
  statement('DECLARE c CURSOR FOR SELECT generate_series(1, 5)'),
  statement('DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT generate_series(1, 5)', 'pins'),
  statement('FETCH 2 FROM c'),
  statement('FETCH BACKWARD 1 FROM c'),
  statement('MOVE 1 FROM c'),
  statement('FETCH ALL FROM "c"'),
  statement('DECLARE d BINARY CURSOR WITH HOLD FOR VALUES (1), (2)', 'pins'),
  statement('FETCH 1 FROM d'),
  statement('CLOSE c'),
  statement('CLOSE ALL'),
  statement("SELECT name, is_holdable, is_scrollable FROM pg_cursors WHERE name = 'c'"),
)

/** LISTEN, NOTIFY and what belongs to them. */
export const notification: fc.Arbitrary<Statement> = fc.constantFrom(
  statement('LISTEN one', 'listens'),
  statement('LISTEN two', 'listens'),
  statement('UNLISTEN one'),
  statement('UNLISTEN *'),
  statement("NOTIFY one, 'to one by :me'", 'notifies'),
  statement('NOTIFY two', 'notifies'),
  statement("SELECT pg_notify('one', 'by function')", 'notifies'),
  statement('SELECT pg_listening_channels() AS channel ORDER BY channel'),
  statement('LISTEN "Three"', 'listens'),
  statement('NOTIFY "Three", \'quoted\'', 'notifies'),
  statement("NOTIFY one, 'once'; NOTIFY one, 'once'; NOTIFY two", 'joined', 'notifies'),
)

const sequence: fc.Arbitrary<Statement> = fc.constantFrom(
  statement("SELECT nextval('counter')", 'pins', 'usesSequence'),
  statement("SELECT setval('counter', 10)", 'pins', 'usesSequence'),
  statement("SELECT currval('counter')", 'readsSequence'),
  statement('SELECT lastval()', 'readsSequence'),
  statement('DISCARD SEQUENCES', 'forgetsSequence'),
)

/** PREPARE in SQL, and what uses statements that it or the protocol has prepared. */
export const preparation: fc.Arbitrary<Statement> = fc.constantFrom(
  statement('PREPARE q1 AS SELECT a FROM star ORDER BY a', 'pins'),
  statement('PREPARE q1 (int) AS SELECT $1 + 1 AS next', 'pins'),
  statement("PREPARE q2 (text) AS SELECT set_config('app.tenant', $1, false)", 'pins'),
  // Names of the protocol's, too.
  statement('PREPARE p1 AS SELECT 1 AS one', 'pins'),
  statement('PREPARE p2 (int) AS SELECT $1 + 2 AS next', 'pins'),
  statement('EXECUTE q1', 'executes'),
  statement('EXECUTE q1 (5)', 'executes'),
  statement("EXECUTE q2 ('by execute')", 'executes'),
  statement('EXECUTE p1', 'executes', 'simple'),
  statement('EXECUTE p2 (7)', 'executes', 'simple'),
  statement('DEALLOCATE q1'),
  statement('DEALLOCATE p1', 'simple'),
  statement('DEALLOCATE PREPARE p2', 'simple'),
  statement('DEALLOCATE ALL'),
  statement("SELECT name, statement FROM pg_prepared_statements WHERE name LIKE 'q%' ORDER BY name"),
)

const discard: fc.Arbitrary<Statement> = fc.constantFrom(
  statement('DISCARD ALL', 'resets', 'forgetsSequence'),
  statement('DISCARD ALL', 'resets', 'forgetsSequence'),
  statement('DISCARD PLANS'),
)

const library: fc.Arbitrary<Statement> = fc.constantFrom(
  statement("LOAD 'auto_explain'", 'pins'),
  statement("LOAD 'no_such_library'", 'pins'),
)

/** What leaves objects behind in a session, and what takes them away. */
export const ownState: fc.Arbitrary<Statement> = fc.oneof(
  { weight: 4, arbitrary: temporary },
  { weight: 4, arbitrary: advisory },
  { weight: 4, arbitrary: cursor },
  { weight: 2, arbitrary: sequence },
  { weight: 2, arbitrary: discard },
  { weight: 1, arbitrary: library },
)

/** What leaves something behind in a session besides settings, and what takes it away. */
export const sessionStatement: fc.Arbitrary<Statement> = fc.oneof(
  { weight: 16, arbitrary: ownState },
  { weight: 4, arbitrary: notification },
  { weight: 5, arbitrary: preparation },
)
