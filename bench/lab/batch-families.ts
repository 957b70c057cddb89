import type { Family } from './family.ts'
import { between, pick, whole } from './workbench.ts'

/** What nobody waits for: reports, watchers, loads, dumps, migrations. */
export const BATCH: readonly Family[] = [
  {
    name: 'dashboard',
    tier: 'low',
    database: 'shop',
    identities: [
      { user: 'bi', application: 'Metabase v0.{n}', subnet: '127.0.30' },
      { user: 'grafana', application: 'grafana', subnet: '127.0.30' },
    ],
    parallel: 4,
    lifeMs: [8_000, 90_000],
    // A page full of aggregates, then a pause until it refreshes.
    async run(client, { random, sleep }, until) {
      const refresh = between(random, 1_000, 8_000)
      const texts = [
        'SELECT date_trunc($$hour$$, at), count(*) FROM events GROUP BY 1 ORDER BY 1',
        'SELECT item_id, sum(total), avg(total) FROM orders GROUP BY 1 ORDER BY 2 DESC LIMIT 25',
        'SELECT kind, count(*) FROM events GROUP BY 1',
        'SELECT c.id % 10, count(*), sum(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY 1',
      ]
      while (until()) {
        for (let panel = whole(random, 2, 6); panel > 0 && until(); panel--) await client.query(pick(random, texts))
        await sleep(between(random, refresh / 2, refresh * 2))
      }
    },
  },
  {
    name: 'notebook',
    tier: 'low',
    database: 'shop',
    identities: [
      { user: 'science', application: 'jupyter-{h}', subnet: '127.0.31' },
      { user: 'analyst', application: 'Tableau', subnet: '127.0.31' },
    ],
    parallel: 3,
    lifeMs: [15_000, 120_000],
    async run(client, { random, sleep }, until) {
      while (until()) {
        const from = whole(random, 1, 30_000)
        await client.query(`SELECT * FROM orders WHERE id BETWEEN ${from} AND ${from + whole(random, 1_000, 8_000)}`)
        if (random() < 0.6) {
          await client.query('SELECT customer_id, count(*), stddev(total) FROM orders GROUP BY 1 HAVING count(*) > 2')
        }
        await sleep(between(random, 800, 9_000))
      }
    },
  },
  {
    name: 'monitoring',
    tier: 'low',
    database: 'shop',
    identities: [
      { user: 'monitor', application: 'postgres_exporter', subnet: '127.0.32' },
      { user: 'datadog', application: 'datadog-agent', subnet: '127.0.33' },
    ],
    parallel: 3,
    async run(client, { random, sleep }, until) {
      const every = between(random, 500, 3_000)
      while (until()) {
        await client.query('SELECT * FROM pg_stat_activity')
        await client.query('SELECT datname, xact_commit, blks_read FROM pg_stat_database')
        if (random() < 0.7) await client.query('SELECT relname, n_live_tup, n_dead_tup FROM pg_stat_user_tables')
        await client.query('SHOW max_connections')
        await sleep(every)
      }
    },
  },
  {
    name: 'cron',
    tier: 'low',
    database: 'shop',
    identities: [
      { user: 'cron', application: 'cleanup-sessions', subnet: '127.0.34' },
      { user: 'cron', application: 'rollup.py', subnet: '127.0.34' },
    ],
    parallel: 3,
    lifeMs: [500, 15_000],
    pauseMs: [300, 4_000],
    async run(client, { random, sleep }, until) {
      for (let step = whole(random, 3, 40); step > 0 && until(); step--) {
        const id = whole(random, 1, 40_000)
        await client.query(`SELECT count(*), max(at) FROM events WHERE id BETWEEN ${id} AND ${id + 4_000}`)
        await client.query(`UPDATE events SET kind = 'old' WHERE id BETWEEN ${id} AND ${id + whole(random, 20, 200)}`)
        if (random() < 0.3) await sleep(between(random, 5, 100))
      }
    },
  },
  {
    name: 'etl-copy',
    tier: 'background',
    database: 'shop',
    identities: [
      { user: 'etl', application: 'airflow-task-{n}', subnet: '127.0.40' },
      { user: 'loader', application: 'nightly-load', subnet: '127.0.40' },
    ],
    parallel: 2,
    lifeMs: [3_000, 40_000],
    pauseMs: [500, 5_000],
    async run(client, { random, sleep }, until) {
      await client.query('CREATE TEMP TABLE IF NOT EXISTS staging (kind text, payload text)')
      const size = whole(random, 500, 4_000)
      while (until()) {
        await client.copyIn(
          'COPY staging FROM STDIN',
          Array.from({ length: size }, (_, at) => `load\t${'y'.repeat(20 + (at % 40))}\n`),
        )
        await client.query('INSERT INTO loads (kind, payload) SELECT kind, payload FROM staging')
        await client.query('TRUNCATE staging')
        if (random() < 0.2) await client.query('TRUNCATE loads')
        await sleep(between(random, 5, 250))
      }
    },
  },
  {
    name: 'export',
    tier: 'background',
    database: 'shop',
    identities: [
      { user: 'backup', application: 'pg_dump', subnet: '127.0.41' },
      { user: 'exporter', application: 'export-{h}', subnet: '127.0.41' },
    ],
    parallel: 2,
    lifeMs: [2_000, 20_000],
    pauseMs: [500, 5_000],
    async run(client, { random, sleep }, until) {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
      for (let round = whole(random, 1, 8); round > 0 && until(); round--) {
        for (const table of ['customers', 'items', 'orders', 'events']) {
          await client.query(`SELECT attname, atttypid FROM pg_attribute WHERE attrelid = '${table}'::regclass`)
          if (random() < 0.6) await client.copyOut(`COPY ${table} TO STDOUT`)
          else await dumpByCursor(client.query.bind(client), table, random)
        }
        await sleep(between(random, 1, 50))
      }
      await client.query('COMMIT')
    },
  },
  {
    name: 'migration',
    tier: 'background',
    database: 'shop',
    identities: [
      { user: 'migrate', application: 'flyway', subnet: '127.0.42' },
      { user: 'deploy', application: 'alembic', subnet: '127.0.42' },
    ],
    parallel: 2,
    lifeMs: [2_000, 20_000],
    pauseMs: [500, 4_000],
    async run(client, { random, sleep }, until) {
      const table = `migrated_${whole(random, 1, 1_000_000)}`
      await client.query(`CREATE TABLE ${table} (id int, a int)`)
      for (let step = 0; step < whole(random, 4, 20) && until(); step++) {
        await client.query('BEGIN')
        await client.query(`ALTER TABLE ${table} ADD COLUMN c${step} int`)
        await client.query(
          `INSERT INTO ${table} (id, a) SELECT i, i FROM generate_series(1, ${whole(random, 500, 8_000)}) i`,
        )
        if (random() < 0.6) await client.query(`CREATE INDEX ON ${table} (c${step})`)
        await client.query(`UPDATE ${table} SET c${step} = a WHERE id % 3 = 0`)
        await client.query('COMMIT')
        await sleep(between(random, 2, 80))
      }
      await client.query(`ANALYZE ${table}`)
      await client.query(`DROP TABLE ${table}`)
    },
  },
  {
    name: 'batch-update',
    tier: 'background',
    database: 'shop',
    identities: [
      { user: 'batch', application: 'recalculate', subnet: '127.0.43' },
      { user: 'billing', application: 'billing-run-{n}', subnet: '127.0.43' },
    ],
    parallel: 2,
    lifeMs: [3_000, 40_000],
    pauseMs: [300, 4_000],
    // Row after row, as fast as answers come.
    async run(client, { random }, until) {
      const size = whole(random, 20, 300)
      while (until()) {
        const from = whole(random, 1, 19_000)
        await client.query('BEGIN')
        await client.query('SELECT * FROM customers WHERE id BETWEEN $1 AND $2', [from, from + size])
        for (let id = from; id < from + size / 10; id++) {
          await client.query('UPDATE customers SET visits = $2 WHERE id = $1', [id, id % 9])
        }
        await client.query('UPDATE customers SET visits = 1 WHERE id BETWEEN $1 AND $2', [from, from + size])
        await client.query('COMMIT')
      }
    },
  },
]

async function dumpByCursor(
  query: (text: string) => Promise<unknown>,
  table: string,
  random: () => number,
): Promise<void> {
  await query(`DECLARE dump NO SCROLL CURSOR FOR SELECT * FROM ${table}`)
  for (let fetched = whole(random, 2, 10); fetched > 0; fetched--) await query('FETCH 1000 FROM dump')
  await query('CLOSE dump')
}
