import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { seededRandom } from '../src/util/seeded-random.ts'
import { mayhem } from '../test/chaos/mayhem.ts'
import { runStorm } from '../test/chaos/shard-storm.ts'
import { startTestCluster } from '../test/support/cluster-start.ts'
import { MixedLoad } from '../test/support/mixed-load.ts'
import { processesOf } from '../test/support/process-usage.ts'
import { RouterProcess } from '../test/support/router-process.ts'
import { baseSettings } from '../test/support/router-settings.ts'

/**
 * Does harm at random moments while clients of all kinds work through a router; then compares the database with what they were
 * told. To the router: its processes are killed, and it is upgraded. To its shards: test/chaos/shard-faults.ts.
 *
 *   npm run chaos -- --seed 7 --minutes 10 --of shards
 *
 *   --of router|shards   what is harmed; both, one after the other, when it is not said
 *   --minutes N          of each (1)
 *   --clients N          of the load (24)
 *   --log FILE           gets the log of the router whose shards are harmed
 *
 * The last line of each says how often what happened, how many operations there were, how many failed or were cut off, and whether the
 * ledger is sound: nothing confirmed is missing, nothing is there twice, no money was lost. The exit code is 1 when it is not.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
    minutes: { type: 'string', default: '1' },
    clients: { type: 'string', default: '24' },
    of: { type: 'string', default: 'router,shards' },
    log: { type: 'string' },
  },
})
process.stdout.write(`seed ${values.seed}\n`)

const directory = mkdtempSync(join(tmpdir(), 'switchyard-chaos-'))
// PostgreSQL, which does not run as root, has to pass through.
chmodSync(directory, 0o711)
process.env.TMPDIR = directory
try {
  const harmed = values.of.split(',')
  if (harmed.includes('router')) await harmRouter()
  if (harmed.includes('shards')) await harmShards()
} finally {
  for (const { pid } of processesOf(directory)) process.kill(pid, 'SIGKILL')
  rmSync(directory, { recursive: true, force: true })
}

async function harmRouter(): Promise<void> {
  const started = await startTestCluster({ replicas: 0 })
  try {
    if ((await run(started.coordinates)) !== 0) process.exitCode = 1
  } finally {
    await started.stop()
  }
}

async function harmShards(): Promise<void> {
  const began = performance.now()
  const seconds = (): string => ((performance.now() - began) / 1000).toFixed(1)
  const { faults, operations, audit, allowed, violations } = await runStorm({
    seed: Number(values.seed),
    durationMs: Number(values.minutes) * 60_000,
    clients: Number(values.clients),
    onLog: (log) => {
      if (values.log !== undefined) writeFileSync(values.log, log)
    },
    onFault: (fault) => process.stdout.write(`${seconds()} s: ${fault}\n`),
  })
  for (const text of tally(allowed)) process.stdout.write(`${text}\n`)
  for (const text of tally(violations)) process.stdout.write(`NOT ALLOWED: ${text}\n`)
  const { lost, doubled, isBalanced } = audit
  const isSound = lost === 0 && doubled === 0 && isBalanced
  if (!isSound || violations.length > 0) process.exitCode = 1
  const happened = [...faults].map(([fault, times]) => `${fault} ${times}`).join(', ')
  process.stdout.write(
    `faults: ${happened}; operations: ${operations}; told of a loss: ${allowed.length}; not allowed: ${violations.length}; ` +
      `ledger: ${isSound ? 'sound' : `lost ${lost}, doubled ${doubled}, ${isBalanced ? 'balanced' : 'not balanced'}`}\n`,
  )
}

async function run({
  primary,
  superuser,
}: Awaited<ReturnType<typeof startTestCluster>>['coordinates']): Promise<number> {
  const login = { ...superuser, database: 'postgres' }
  const direct = new pg.Client({ ...primary, ...login })
  await direct.connect()
  const sql = async (text: string) => (await direct.query(text)).rows as Record<string, unknown>[]
  await MixedLoad.prepare(sql)
  const settings = baseSettings([{ name: 'one', ...primary }], superuser, [superuser])
  const router = await RouterProcess.start({ ...settings, log: { level: 'info', format: 'json' } })
  try {
    const load = MixedLoad.start(router, login, { clients: Number(values.clients) })
    const until = performance.now() + Number(values.minutes) * 60_000
    const counts = await mayhem(router, seededRandom(Number(values.seed)), () => performance.now() > until)
    const report = await load.stop()
    const { lost, doubled, isBalanced } = await load.audit(sql)
    for (const failure of tally([
      ...report.dropped,
      ...report.errors.map(({ kind, sqlstate, message }) => `${kind}: ${sqlstate} ${message}`),
    ])) {
      process.stdout.write(`${failure}\n`)
    }
    for (const wrong of report.wrong.slice(0, 10)) process.stdout.write(`wrong answer: ${wrong}\n`)
    const isSound = lost === 0 && doubled === 0 && isBalanced && report.wrong.length === 0
    const happened = Object.entries(counts).map(([event, times]) => `${event} ${times}`)
    process.stdout.write(
      `kills and upgrades: ${happened.join(', ')}; operations: ${report.operations}; ` +
        `failed: ${report.errors.length}; cut off: ${report.dropped.length}; ` +
        `ledger: ${isSound ? 'sound' : `lost ${lost}, doubled ${doubled}, ${isBalanced ? 'balanced' : 'not balanced'}, wrong ${report.wrong.length}`}\n`,
    )
    return isSound ? 0 : 1
  } finally {
    await router.kill()
    await direct.end()
  }
}

/** What happened, and how often, the most frequent first. */
function tally(texts: readonly string[]): readonly string[] {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .slice(0, 20)
    .map(([text, times]) => `${times} × ${text}`)
}
