import type { Family } from './family.ts'
import { between, pick, whole } from './workbench.ts'

/** What people wait for: request handlers, checkouts, people themselves. */
export const INTERACTIVE: readonly Family[] = [
  {
    name: 'orm-web',
    tier: 'high',
    database: 'shop',
    identities: [
      { user: 'web', application: 'storefront', subnet: '127.0.10' },
      { user: 'web', application: 'puma: cluster worker {n}', subnet: '127.0.10' },
      { user: 'api', application: 'rest-api', subnet: '127.0.11' },
    ],
    parallel: 9,
    // A pool of a request handler: bursts of small statements with a few milliseconds of program between them.
    async run(client, { random, sleep }, until) {
      const gap = between(random, 30, 400)
      const thought = between(random, 1, 12)
      const prepared = random() < 0.6
      while (until()) {
        const inTransaction = random() < 0.5
        if (inTransaction) await client.query('BEGIN')
        for (let step = whole(random, 2, 7); step > 0; step--) {
          const id = whole(random, 1, 20_000)
          await client.query('SELECT * FROM customers WHERE id = $1', [id], prepared ? 'customer' : undefined)
          await sleep(between(random, 0.5, thought))
          if (random() < 0.4) await client.query('SELECT * FROM orders WHERE customer_id = $1 LIMIT 20', [id])
          if (random() < 0.15) await client.query('UPDATE customers SET visits = visits + 1 WHERE id = $1', [id])
        }
        if (inTransaction) await client.query('COMMIT')
        await sleep(between(random, gap / 3, gap * 3))
      }
    },
  },
  {
    name: 'checkout',
    tier: 'high',
    database: 'shop',
    identities: [
      { user: 'checkout', application: 'checkout-{n}', subnet: '127.0.12' },
      { user: 'payments', application: 'payments', subnet: '127.0.12' },
    ],
    parallel: 6,
    async run(client, { random, sleep }, until) {
      const gap = between(random, 60, 900)
      while (until()) {
        const id = whole(random, 1, 20_000)
        await client.query('BEGIN')
        await client.query('SELECT stock FROM items WHERE id = $1 FOR UPDATE', [id % 500])
        await sleep(between(random, 1, 25))
        await client.query('UPDATE items SET stock = stock - 1 WHERE id = $1', [id % 500])
        await client.query('INSERT INTO orders (customer_id, item_id, total) VALUES ($1, $2, $3)', [
          id,
          id % 500,
          random() * 100,
        ])
        await client.query(random() < 0.97 ? 'COMMIT' : 'ROLLBACK')
        await sleep(between(random, gap / 3, gap * 3))
      }
    },
  },
  {
    name: 'serverless',
    tier: 'high',
    database: 'shop',
    identities: [
      { user: 'functions', application: 'lambda-{h}', subnet: '127.0.13' },
      { user: 'edge', application: '', subnet: '127.0.14' },
    ],
    parallel: 3,
    lifeMs: [30, 4_000],
    // A connection for a request or a few.
    async run(client, { random, sleep }, until) {
      for (let request = whole(random, 1, 12); request > 0 && until(); request--) {
        for (let step = whole(random, 1, 4); step > 0; step--) {
          await client.query('SELECT * FROM customers WHERE id = $1', [whole(random, 1, 20_000)])
          if (random() < 0.2)
            await client.query('INSERT INTO events (kind, payload) VALUES ($1, $2)', ['visit', 'x'.repeat(40)])
        }
        await sleep(between(random, 5, 300))
      }
    },
  },
  {
    name: 'psql-human',
    tier: 'medium',
    database: 'shop',
    identities: [
      { user: 'anna', application: 'psql', subnet: '127.0.20' },
      { user: 'marc', application: 'DBeaver 24.{n} - SQLEditor <Script-{n}.sql>', subnet: '127.0.20' },
    ],
    parallel: 7,
    lifeMs: [20_000, 200_000],
    async run(client, { random, sleep }, until) {
      const pace = between(random, 700, 4_000)
      const texts = [
        "SELECT relname FROM pg_class WHERE relkind = 'r' ORDER BY 1",
        'SELECT count(*) FROM orders',
        'SELECT * FROM customers ORDER BY visits DESC LIMIT 30',
        'SELECT item_id, sum(total) FROM orders GROUP BY 1 ORDER BY 2 DESC LIMIT 10',
        'SELECT * FROM no_such_table',
        'SHOW work_mem',
        'EXPLAIN SELECT * FROM orders WHERE customer_id = 7',
        'UPDATE customers SET visits = 0 WHERE id = 77',
        'SELECT * FROM orders WHERE id < 400',
      ]
      while (until()) {
        await client.query(pick(random, texts)).catch(() => {})
        await sleep(between(random, pace / 4, pace * 4))
      }
    },
  },
  {
    name: 'back-office',
    tier: 'medium',
    database: 'shop',
    identities: [
      { user: 'office', application: 'backoffice', subnet: '127.0.21' },
      { user: 'support', application: 'support-desk-{n}', subnet: '127.0.21' },
    ],
    parallel: 7,
    lifeMs: [10_000, 120_000],
    // Pages of an internal program: a handful of middling queries, then somebody reads.
    async run(client, { random, sleep }, until) {
      const pace = between(random, 500, 3_000)
      while (until()) {
        const id = whole(random, 1, 20_000)
        for (let step = whole(random, 2, 5); step > 0; step--) {
          await client.query('SELECT * FROM orders WHERE customer_id BETWEEN $1 AND $2 ORDER BY total DESC LIMIT 50', [
            id,
            id + 60,
          ])
          await client.query('SELECT count(*) FROM orders WHERE customer_id = $1', [id])
          await sleep(between(random, 3, 40))
        }
        if (random() < 0.3) await client.query('UPDATE customers SET name = $2 WHERE id = $1', [id, `n${id}`])
        await sleep(between(random, pace / 3, pace * 3))
      }
    },
  },
  {
    name: 'queue-worker',
    tier: 'medium',
    database: 'shop',
    identities: [
      { user: 'jobs', application: 'sidekiq {n}', subnet: '127.0.22' },
      { user: 'mailer', application: 'mail-worker-{n}', subnet: '127.0.22' },
    ],
    parallel: 6,
    async run(client, { random, sleep }, until) {
      const work = between(random, 20, 400)
      const poll = between(random, 200, 1_500)
      while (until()) {
        await client.query('BEGIN')
        const { rows } = await client.query(
          "SELECT id FROM jobs WHERE state = 'ready' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED",
        )
        if (rows[0] === undefined) {
          await client.query('COMMIT')
          await client.query("UPDATE jobs SET state = 'ready' WHERE id % 7 = $1", [whole(random, 0, 6)])
          await sleep(between(random, poll / 2, poll * 2))
          continue
        }
        await sleep(between(random, work / 4, work * 2))
        await client.query("UPDATE jobs SET state = 'done' WHERE id = $1", [rows[0].id])
        await client.query('COMMIT')
        if (random() < 0.3) await sleep(between(random, 5, poll))
      }
    },
  },
]
