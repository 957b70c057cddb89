import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ContinuityBed } from '../support/continuity-bed.ts'
import { ReadLoad } from '../support/read-load.ts'
import { ScalingBed } from '../support/scaling-bed.ts'
import { waitUntil } from '../support/wait-until.ts'

const EXAMPLE = join(import.meta.dirname, '../../docs/examples/scale-with-basebackup.sh')
const READ = 'SELECT count(*) FROM generate_series(1, 100) AS number'

/** Programs with `pg_basebackup`, which the embedded ones lack. */
const installed = existsSync('/usr/lib/postgresql')
  ? readdirSync('/usr/lib/postgresql').map((major) => `/usr/lib/postgresql/${major}/bin`)
  : []
const bin = installed.find((directory) => existsSync(join(directory, 'pg_basebackup')))
if (bin !== undefined) process.env.SWITCHYARD_PG_BIN = bin

const directory = mkdtempSync(join(tmpdir(), 'switchyard-scale-'))
chmodSync(directory, 0o711)
after(() => rmSync(directory, { recursive: true, force: true }))
const program = join(directory, 'program')
const isWithTools = { skip: bin === undefined ? 'no pg_basebackup is installed' : false }

/** Makes the program of the driver this script. */
function become(script: string): void {
  writeFileSync(program, `#!/bin/bash\n${script}\n`)
  chmodSync(program, 0o755)
}

become('exit 1')
const bed = await ContinuityBed.open(
  {
    operations: { drain: '3s' },
    routing: { reads: 'replicas', slow_start: '500ms' },
    scaling: { driver: 'exec', program, program_timeout: '30s' },
  },
  0,
)
const scaling = new ScalingBed(bed)

/** The example of the manual, for the servers of this test. */
function becomeExample(): void {
  const { uid } = statSync(bed.shards[0]!.dataDirectory)
  const owner = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((line) => line.split(':')[2] === String(uid))
  const settings = {
    SCALE_PG_BIN: bin ?? '',
    SCALE_HOME: join(directory, 'home'),
    SCALE_ACCOUNT: owner?.split(':')[0] ?? '',
    PGUSER: bed.login.user,
    PGPASSWORD: bed.login.password ?? '',
  }
  const exports = Object.entries(settings).map(([name, value]) => `export ${name}='${value}'`)
  become(`${exports.join('\n')}\nexec bash '${EXAMPLE}'`)
}

test(
  'the example of the manual makes a replica, also when control dies meanwhile, and removes it',
  isWithTools,
  async () => {
    becomeExample()
    const load = await ReadLoad.start(bed.router, bed.login, { clients: 2, sql: READ })
    scaling.ask('SCALE OUT main').catch(() => undefined)
    await waitUntil('a copy to be under way', () => existsSync(join(directory, 'home/shard-2')))
    process.kill(bed.router.pids.control, 'SIGKILL')
    assert.equal((await scaling.ended('SCALE OUT main')).state, 'done')
    await waitUntil('it to be known', async () => (await scaling.names()) === 'shard-1,shard-2')
    await waitUntil('reads to go there', async () => (await scaling.reads('shard-2')) > 20)
    assert.equal(await scaling.slots(bed.shards[0]!.port), 'switchyard_shard_2')
    await scaling.ask('SCALE IN')
    assert.equal(await scaling.names(), 'shard-1')
    assert.equal(await scaling.slots(bed.shards[0]!.port), '')
    assert.equal(scaling.servers(directory), 0)
    assert.ok(!existsSync(join(directory, 'home/shard-2')))
    assert.deepEqual((await load.stop()).errors, [])
  },
)

test('a program that fails is quoted, and nothing is left', async () => {
  become(`grep -q destroy && echo '{"state":"gone"}' || { echo 'quota exceeded' >&2; exit 3; }`)
  await assert.rejects(scaling.ask('SCALE OUT main'), /ended with status 3 at "create" of shard-2: quota exceeded/)
  assert.equal(await scaling.names(), 'shard-1')
  assert.match((await scaling.operation()).detail ?? '', /quota exceeded/)
})

test('a program that hangs is ended', async () => {
  await scaling.reload({ scaling: { program_timeout: '300ms' } })
  become(`grep -q destroy && echo '{"state":"gone"}' || sleep 600`)
  await assert.rejects(scaling.ask('SCALE OUT main'), /was ended at "create" of shard-2: it took too long/)
  await scaling.reload({ scaling: { program_timeout: '30s' } })
})

test('a server that is no replica of the group is no shard of it', async () => {
  const { host, port } = bed.shards[0]!
  become(`grep -q destroy && echo '{"state":"gone"}' || echo '{"state":"ready","host":"${host}","port":${port}}'`)
  await assert.rejects(scaling.ask('SCALE OUT main'), /shard-2 cannot be a shard of group main: it is no replica/)
  assert.equal(await scaling.names(), 'shard-1')
})

test('DRY RUN tells the steps and does nothing', async () => {
  const told = await scaling.told('SCALE OUT main DRY RUN')
  assert.match(
    told.join('\n'),
    /^SCALE OUT main would\n1\. make shard-2, .*\n2\. wait until .*\n3\. make shard-2 a shard/,
  )
  await assert.rejects(scaling.ask('SCALE IN DRY RUN'), { code: '55000', message: /none to take away/ })
  await assert.rejects(scaling.ask('SCALE OUT nothing'), { code: '42704' })
})
