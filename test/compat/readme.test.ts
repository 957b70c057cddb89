import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { runProgram, skipWithout } from '../support/installed-program.ts'
import { Testbed } from '../support/testbed.ts'

const bed = await Testbed.open({ settings: { pool: { size: 4 } } })

const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
const connecting = readme.slice(readme.indexOf('## Connecting'), readme.indexOf('## In front of your own'))
const blocks = [...connecting.matchAll(/```(\w*)\n(.*?)```/gs)].map(([, language, text]) => ({
  language,
  text: text ?? '',
}))

function environment(): Record<string, string> {
  const { host, port } = bed.address
  const { user, password } = bed.role
  return { URL: `postgresql://${user}:${password}@${host}:${port}/${bed.database}` }
}

for (const driver of ['pg', 'postgres']) {
  test(`the README's program for ${driver} answers`, async () => {
    const text = blocks.find((block) => block.language === 'js' && block.text.includes(`from '${driver}'`))?.text
    assert.ok(text)
    const { status, stdout, stderr } = await runProgram(process.execPath, ['--input-type=module', '-'], {
      env: environment(),
      input: text,
    })
    assert.equal(status, 0, stderr)
    assert.match(stdout, /answer: 42/)
  })
}

test('the commands in the README succeed', { skip: skipWithout('psql') || skipWithout('pgbench') }, async () => {
  const commands = blocks.find(({ language }) => language === '')?.text ?? ''
  assert.match(commands, /psql "\$URL"\n.*pgbench -S .*-T 10/s)
  const { status, stdout, stderr } = await runProgram('sh', ['-e', '-c', commands.replace('-T 10', '-T 1')], {
    env: environment(),
  })
  assert.equal(status, 0, stdout + stderr)
  assert.match(stdout, /number of failed transactions: 0 /)
})
