import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { COMMANDS } from './console/registry.ts'
import { Metrics } from './http/metrics.ts'
import { TestRouter } from './router-control.fixture.ts'

const manual = await readFile(new URL('../../docs/admin-console.md', import.meta.url), 'utf8')

test('the manual describes every command and every column', () => {
  for (const command of COMMANDS) {
    assert.ok(manual.includes(`\`${command.name}`), command.name)
    if (command.kind === 'action') continue
    for (const { name } of command.columns) assert.ok(manual.includes(`\`${name}\``), `${command.name}: ${name}`)
  }
})

test('the manual names every metric of the router', async () => {
  const page = await new Metrics(new TestRouter()).scrape()
  for (const [, name] of page.matchAll(/^# TYPE (switchyard_(?!control_)\w+)/gm)) {
    assert.ok(manual.includes(`\`${name}\``), name)
  }
})
