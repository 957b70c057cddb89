import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const root = join(import.meta.dirname, '../..')
const directory = temporaryDirectory()

function node(program: string, ...parameters: readonly string[]) {
  return spawnSync(program, parameters, { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } })
}

test('a package with the built program and no sources runs', () => {
  for (const file of ['bin', 'package.json', 'config'])
    cpSync(join(root, file), join(directory, file), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'))
  const build = node(process.execPath, join(root, 'scripts/build.ts'), join(directory, 'dist'))
  assert.equal(build.status, 0, build.stdout + build.stderr)
  assert.equal(existsSync(join(directory, 'src')), false)
  const bin = join(directory, 'bin/switchyard.js')
  const version = node(process.execPath, bin, '--version')
  assert.equal(version.status, 0, version.stderr)
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/)
  const check = node(process.execPath, bin, 'check-config', join(directory, 'config/example.toml'))
  assert.equal(check.status, 0, check.stdout + check.stderr)
  assert.match(check.stdout, /: OK\n/)
})

/** The `node` of the machine, where it is an old one. */
const installed = ['/usr/bin/node', '/usr/local/bin/node'].find(existsSync)
const oldVersion = installed === undefined ? '' : node(installed, '--version').stdout.trim()
const isOld = /^v(1\d|20|21)\./.test(oldVersion)

test('an old Node.js is told which one is needed', { skip: !isOld && 'this machine has no old Node.js' }, () => {
  const { status, stderr } = node(installed ?? '', join(root, 'bin/switchyard.js'), 'start')
  assert.equal(status, 1)
  assert.match(stderr, /^Switchyard needs Node\.js 22\.18 or newer, and this is \d+\.\d+\.\d+ \(.*\)\. .*\n$/)
})
