import { appendFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import pg from 'pg'
import type { ModelFile } from '../../src/analyzer/tier-model.ts'
import { ModelStore, readModel } from '../../src/control/learning/model-store.ts'
import { seededRandom } from '../../src/util/seeded-random.ts'
import { startTestCluster } from '../../test/support/cluster-start.ts'
import { RouterProcess } from '../../test/support/router-process.ts'
import { baseSettings, mergeSettings } from '../../test/support/router-settings.ts'
import { BATCH } from './batch-families.ts'
import type { Family } from './family.ts'
import { INTERACTIVE } from './interactive-families.ts'
import { LAB_PASSWORD, runClient, type Truth } from './lab-session.ts'
import { asLiar, LIES } from './liars.ts'

const usage = `npm run lab -- [options]

Runs the client families of the laboratory against a PostgreSQL of its own through the router, and keeps the router's
history with what every connection really was.

  --minutes N   how long (6)
  --seed N      of everything that chance decides (1)
  --model FILE  the tier model that decides meanwhile (the one that ships)
  --out DIR     where history and truth go (bench/lab/data)
`

const FAMILIES: readonly Family[] = [...INTERACTIVE, ...BATCH]

const SCHEMA = `
  CREATE TABLE customers (id int PRIMARY KEY, name text, visits int);
  INSERT INTO customers SELECT i, 'customer ' || i, i % 50 FROM generate_series(1, 20000) i;
  CREATE TABLE items (id int PRIMARY KEY, stock int);
  INSERT INTO items SELECT i, 1000000 FROM generate_series(0, 500) i;
  CREATE TABLE orders (id serial PRIMARY KEY, customer_id int, item_id int, total float8);
  INSERT INTO orders (customer_id, item_id, total)
    SELECT 1 + i * 7919 % 20000, i % 500, i % 100 FROM generate_series(1, 40000) i;
  CREATE INDEX ON orders (customer_id);
  CREATE TABLE events (id serial PRIMARY KEY, at timestamptz DEFAULT now(), kind text, payload text);
  INSERT INTO events (at, kind, payload)
    SELECT now() - i * interval '1 min', (ARRAY['visit','click','buy'])[1 + i % 3], repeat('p', 30)
    FROM generate_series(1, 50000) i;
  CREATE TABLE jobs (id serial PRIMARY KEY, state text);
  INSERT INTO jobs (state) SELECT 'ready' FROM generate_series(1, 3000);
  CREATE TABLE loads (kind text, payload text);
  GRANT ALL ON SCHEMA public TO public;
  GRANT ALL ON ALL TABLES IN SCHEMA public TO public;
  GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO public;
  ANALYZE;
`

function usersOf(families: readonly Family[]): string[] {
  return [...new Set(families.flatMap(({ identities }) => identities.map(({ user }) => user)))]
}

async function prepare(server: pg.ClientConfig, users: readonly string[]): Promise<void> {
  const admin = new pg.Client({ ...server, database: 'postgres' })
  await admin.connect()
  for (const user of users) await admin.query(`CREATE ROLE ${user} LOGIN PASSWORD '${LAB_PASSWORD}'`)
  await admin.query('CREATE DATABASE shop')
  await admin.end()
  const shop = new pg.Client({ ...server, database: 'shop' })
  await shop.connect()
  await shop.query(SCHEMA)
  await shop.end()
}

/** What the router's analyzer has counted, for the flaps among them. */
async function printAnalyzer(router: RouterProcess): Promise<void> {
  const page = await (await fetch(`http://${router.host}:${router.httpPort}/metrics`)).text()
  for (const line of page.split('\n')) if (/^switchyard_analyzer_\w+_total/.test(line)) console.error(line)
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '6' },
      seed: { type: 'string', default: '1' },
      model: { type: 'string' },
      out: { type: 'string', default: 'bench/lab/data' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(usage)
    return
  }
  const out = resolve(values.out)
  mkdirSync(out, { recursive: true })
  const liars = LIES.map(({ family, identities, parallel, kind }) => {
    const honest = FAMILIES.find(({ name }) => name === family) as Family
    return { family: asLiar(honest, identities, parallel), kind }
  })
  const all = [...FAMILIES.map((family) => ({ family, kind: 'honest' as const })), ...liars]
  const users = usersOf(all.map(({ family }) => family))
  const cluster = await startTestCluster({ replicas: 0 })
  const data = mkdtempSync(join(tmpdir(), 'switchyard-lab-'))
  const truths: Truth[] = []
  let router: RouterProcess | null = null
  try {
    const { primary, superuser } = cluster.coordinates
    await prepare({ ...primary, ...superuser }, users)
    const roles = users.map((user) => ({ user, password: LAB_PASSWORD }))
    const base = baseSettings([{ name: 'lab', ...primary }], superuser, roles)
    const settings = { analyzer: { mode: 'enforce' }, pool: { size: 40 }, log: { level: 'info', format: 'json' } }
    if (values.model !== undefined) new ModelStore(data).promote(readModel(resolve(values.model)) as ModelFile)
    const wanted = mergeSettings(base, { ...settings, databases: { shop: {} } })
    router = await RouterProcess.start(wanted, { env: { SWITCHYARD_DATA: data } })
    const errors = new Map<string, number>()
    const run = {
      port: router.port,
      endsAt: Date.now() + Number(values.minutes) * 60_000,
      onTruth: (truth: Truth) => void truths.push(truth),
      onError: (family: string, error: unknown) => {
        const text = `${family}: ${error instanceof Error ? error.message : String(error)}`
        errors.set(text, (errors.get(text) ?? 0) + 1)
      },
    }
    const ticker = setInterval(() => console.error(`${truths.length} connections`), 30_000)
    const random = seededRandom(Number(values.seed))
    await Promise.all(
      all.flatMap(({ family, kind }, place) =>
        Array.from({ length: family.parallel }, (_, number) =>
          // A stream of chance for each client, so that the order in which they run changes nothing.
          runClient(family, kind, number, {
            ...run,
            random: seededRandom(Math.floor(random() * 2 ** 31) + place + number),
          }),
        ),
      ),
    )
    clearInterval(ticker)
    await printAnalyzer(router)
    for (const [text, count] of errors) console.error(`${count} × ${text}`)
  } finally {
    await router?.stop()
    cpSync(join(data, 'history'), join(out, 'history'), { recursive: true })
    rmSync(data, { recursive: true, force: true })
    await cluster.stop()
  }
  writeFileSync(join(out, 'truth.ndjson'), '')
  for (const truth of truths) appendFileSync(join(out, 'truth.ndjson'), `${JSON.stringify(truth)}\n`)
  console.error(`${truths.length} connections; history and truth are in ${out}`)
}

await main()
