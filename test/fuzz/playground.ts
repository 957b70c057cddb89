/** Roles that programs may become; created once per cluster, members of everything. */
export const ROLES = ['fuzz_reader', 'fuzz_writer'] as const

/** The table whose definition programs change. */
const STAR = `
  CREATE TABLE star (a int, b text);
  INSERT INTO star VALUES (1, 'x'), (2, NULL);
  ALTER TABLE star OWNER TO fuzz_writer;
  GRANT ALL ON star TO PUBLIC;
`

/** Everything that programs find in their database. Run as superuser, in a schema `public` that is empty. */
export const PLAYGROUND: string = `
  DROP SCHEMA public CASCADE;
  CREATE SCHEMA public;
  GRANT ALL ON SCHEMA public TO PUBLIC;
  CREATE TABLE item (id serial PRIMARY KEY, owner int, note text CHECK (note <> 'bad'));
  INSERT INTO item (owner, note) VALUES (0, 'old'), (1, 'old'), (2, 'old');
  CREATE TABLE fixed (id int PRIMARY KEY, note text);
  INSERT INTO fixed VALUES (1, 'first');
  CREATE TABLE secret (tenant text, content text);
  INSERT INTO secret VALUES ('t1', 'of one'), ('t2', 'of two');
  ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
  CREATE POLICY own ON secret USING (tenant = current_setting('app.tenant', true));
  CREATE SEQUENCE counter;
  CREATE FUNCTION remember(name text, value text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RETURN set_config(name, value, false); END $$;
  CREATE TABLE marked (owner int);
  CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config('app.tenant', 'from a trigger', false); RETURN NEW; END $$;
  CREATE TRIGGER mark BEFORE INSERT ON marked FOR EACH ROW EXECUTE FUNCTION mark();
  CREATE VIEW glance AS SELECT remember('work_mem', '7MB') AS seen;
  CREATE FUNCTION shout(words text) RETURNS int LANGUAGE plpgsql AS
    $$ BEGIN RAISE NOTICE '%', upper(words) USING DETAIL = words; RETURN length(words); END $$;
  CREATE FUNCTION complain(hint text, detail text) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'a complaint' USING HINT = hint, DETAIL = detail, ERRCODE = 'AB123'; END $$;
  CREATE PROCEDURE step_by_step(who int) LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO item (owner, note) VALUES (who, 'a step'); COMMIT; RAISE NOTICE 'half way'; ROLLBACK; END $$;
  GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
  GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
  ${STAR}
`

/** Makes `pg_temp.tidy()`, whose plans are kept by the session that runs this: it is called behind each program. */
export const MAKE_TIDY = `
  CREATE FUNCTION pg_temp.tidy() RETURNS void LANGUAGE plpgsql AS $$
  BEGIN
    DELETE FROM item;
    DELETE FROM marked;
    PERFORM setval('item_id_seq', 1, false), setval('counter', 1, false);
    INSERT INTO item (owner, note) VALUES (0, 'old'), (1, 'old'), (2, 'old');
  END $$
`

/** What a program did to the playground, undone. */
export const TIDY = 'SELECT pg_temp.tidy()'

/** The same of one that altered a table. */
export const TIDY_SCHEMA: string = `DROP TABLE star; ${STAR} ${TIDY}`

/** Drops what any of so many clients may have made. */
export function dropMade(clients: number): string {
  const made = Array.from({ length: clients }, (_, client) => `made_${client}`)
  return `DROP TABLE IF EXISTS ${made.join(', ')}`
}
