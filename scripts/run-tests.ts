import { spawn } from 'node:child_process'
import { chmodSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTestCluster } from '../test/support/cluster-start.ts'
import { MEMORY_VARIABLE, memoryRoot } from '../test/support/memory-directory.ts'
import { CLUSTER_VARIABLE } from '../test/support/postgres-cluster.ts'
import { descendants, processesOf } from '../test/support/process-usage.ts'
import { isDirect } from '../test/support/testbed.ts'

/**
 * Runs the tests under `test/` on one PostgreSQL cluster that is started for them and removed behind them.
 *
 *   node scripts/run-tests.ts                                     everything
 *   node scripts/run-tests.ts test/integration/cancel.test.ts     these files
 *   SWITCHYARD_TEST_TARGET=postgres node scripts/run-tests.ts     against PostgreSQL itself: is what the tests expect true?
 */
const ROOT = join(import.meta.dirname, '..')
const PATTERN = 'test/{integration,compat,chaos,fuzz}/**/*.test.ts'
/** Most of a test is waiting: for servers, processes, deadlines. */
const CONCURRENCY = availableParallelism() + 1
/** Of the whole run: a test process that cannot even exit must not hang whoever waits for the result. */
const RUN_TIMEOUT_MS = 20 * 60_000
/** Of one file. Every wait in the tests has a shorter deadline of its own; this one is for a test that spins. */
const FILE_TIMEOUT_MS = 240_000

const given = process.argv.slice(2)
const files = given.length > 0 ? given : globSync(PATTERN, { cwd: ROOT }).sort()
process.exitCode = await runInDirectory(isDirect ? files.filter(holdsForPostgres) : files)

function holdsForPostgres(file: string): boolean {
  return !readFileSync(join(ROOT, file), 'utf8').includes('routerOnly: true')
}

/** Everything that tests write is below directories of this run, by which their processes are known, too. */
async function runInDirectory(testFiles: readonly string[]): Promise<number> {
  const directory = directoryIn(tmpdir())
  const inMemory = memoryRoot()
  const memory = inMemory === null ? null : directoryIn(inMemory)
  process.env.TMPDIR = directory
  if (memory !== null) process.env[MEMORY_VARIABLE] = memory
  // Each of some thousand processes would take the types out of the sources by itself.
  process.env.NODE_COMPILE_CACHE ??= join(ROOT, 'node_modules/.cache/switchyard')
  try {
    return await runOnCluster(testFiles)
  } finally {
    for (const each of [directory, memory]) {
      if (each === null) continue
      // A test process that was killed has closed nothing.
      for (const { pid } of processesOf(each)) process.kill(pid, 'SIGKILL')
      rmSync(each, { recursive: true, force: true })
    }
  }
}

function directoryIn(root: string): string {
  const directory = mkdtempSync(join(root, 'switchyard-run-'))
  // PostgreSQL, which does not run as root, has to pass through.
  chmodSync(directory, 0o711)
  return directory
}

async function runOnCluster(testFiles: readonly string[]): Promise<number> {
  const started = performance.now()
  const cluster = await startTestCluster({ replicas: 0 })
  try {
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    const version = `PostgreSQL ${cluster.cluster.version}`
    const target = isDirect ? `${version} itself` : `a router before ${version}`
    process.stdout.write(`${testFiles.length} test files against ${target} (ready in ${seconds} s)\n`)
    return await runTests(testFiles, JSON.stringify(cluster.coordinates))
  } finally {
    await cluster.stop()
  }
}

/** Node's test runner as a process of its own, so that its closing lines are the last; returns its exit code. */
function runTests(testFiles: readonly string[], coordinates: string): Promise<number> {
  const options = [
    '--test',
    `--import=${join(ROOT, 'bin/checkout.js')}`,
    '--test-reporter=spec',
    `--test-concurrency=${CONCURRENCY}`,
    `--test-timeout=${FILE_TIMEOUT_MS}`,
  ]
  const runner = spawn(process.execPath, [...options, ...testFiles], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, [CLUSTER_VARIABLE]: coordinates },
  })
  const watchdog = setTimeout(() => {
    process.stderr.write(`the tests did not end within ${RUN_TIMEOUT_MS / 60_000} minutes and are killed\n`)
    for (const { pid } of descendants(runner.pid ?? 0)) process.kill(pid, 'SIGKILL')
    runner.kill('SIGKILL')
  }, RUN_TIMEOUT_MS)
  // A terminal's Ctrl-C reaches the runner by itself; a SIGTERM of this process has to be passed on.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => runner.kill('SIGTERM'))
  return new Promise<number>((resolve, reject) => {
    runner.once('error', reject)
    runner.once('exit', (code) => resolve(code ?? 1))
  }).finally(() => clearTimeout(watchdog))
}
