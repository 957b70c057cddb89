import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Findings } from '../session/inquiry.ts'
import { ParameterRegistry, type ParameterSet } from '../session/parameters.ts'
import { SettingChanges } from '../session/setting-changes.ts'
import { SettingsQuestion } from './settings-question.ts'

const registry = new ParameterRegistry()
const setOf = (values: Record<string, string>): ParameterSet => registry.of(Object.entries(values))
const NOTHING = setOf({})
const NO_FINDINGS: Findings = { settings: null, customs: new Map(), role: null, pins: 0, statements: [] }

/** A question about these changes, each a name and its value. */
function questionAbout(changes: Record<string, string | null>, parameters = NOTHING): SettingsQuestion {
  const touched = new SettingChanges()
  for (const [name, value] of Object.entries(changes)) touched.touch(name, value, false)
  return SettingsQuestion.aboutChanges(touched, parameters)
}

test('it asks for what was touched: settings of applications by name, others all together', () => {
  const { inquiry } = questionAbout({ 'app.a': 'x', work_mem: null })
  assert.deepEqual([inquiry.customs, inquiry.settings, inquiry.named], [['app.a'], true, ['work_mem']])
  assert.equal(questionAbout({ 'app.a': 'x' }).inquiry.settings, false)
})

test('a statement_timeout of the session that is known does not count for it, one that was touched is asked for', () => {
  const parameters = setOf({ statement_timeout: '5s' })
  assert.equal(questionAbout({ work_mem: '1MB' }, parameters).inquiry.timeout, '5s')
  assert.equal(questionAbout({ statement_timeout: '1s' }, parameters).inquiry.timeout, null)
})

test('about everything, it asks for all settings of applications that anybody knows of', () => {
  const touched = new SettingChanges()
  touched.touch('app.a', 'x', false)
  const parameters = setOf({ 'app.b': 'y', work_mem: '1MB' })
  const { inquiry } = SettingsQuestion.aboutAll(touched, parameters, ['app.c'], { scan: true, statements: false })
  assert.deepEqual(inquiry.customs, ['app.a', 'app.b', 'app.c'])
  assert.deepEqual([inquiry.scan, inquiry.statements, inquiry.leftovers], [true, false, true])
})

test('an empty setting of applications is found only where the session has touched it or has it', () => {
  const question = questionAbout({ 'app.touched': 'x' })
  const server = { baseline: NOTHING, parameters: NOTHING }
  const customs = new Map([
    ['app.touched', ''],
    ['app.had', ''],
    ['app.foreign', ''],
    ['app.set', 'x'],
  ])
  const known = { parameters: setOf({ 'app.had': 'x' }), initial: null }
  assert.deepEqual(question.found({ ...NO_FINDINGS, customs }, server, known), [
    ['app.touched', ''],
    ['app.had', ''],
    ['app.set', 'x'],
  ])
})

test('what the server connection had and does not list any more is gone', () => {
  const server = { baseline: setOf({ timezone: 'UTC' }), parameters: setOf({ timezone: 'UTC', work_mem: '1MB' }) }
  const findings = { ...NO_FINDINGS, settings: new Map([['enable_sort', 'off']]) }
  assert.deepEqual(questionAbout({}).found(findings, server, { parameters: NOTHING, initial: null }), [
    ['work_mem', null],
    ['enable_sort', 'off'],
  ])
})

test('without a role it has none of its own, unless it had one', () => {
  const server = { baseline: NOTHING, parameters: NOTHING }
  const findings = { ...NO_FINDINGS, role: 'none' }
  const question = questionAbout({})
  assert.deepEqual(question.found(findings, server, { parameters: NOTHING, initial: null }), [['role', null]])
  const known = { parameters: setOf({ role: 'a' }), initial: null }
  assert.deepEqual(question.found(findings, server, known), [['role', 'none']])
})

test('who has set a role has given it up for good when there is none, who has reset it has not', () => {
  const server = { baseline: NOTHING, parameters: NOTHING }
  const found = (value: string | null) =>
    questionAbout({ role: value }).found({ ...NO_FINDINGS, role: 'none' }, server, {
      parameters: NOTHING,
      initial: null,
    })
  assert.deepEqual([found('none'), found(null)], [[['role', 'none']], [['role', null]]])
})

test('a setting of the startup packet that was reset, or that the server lists no more, has its value still', () => {
  const server = { baseline: setOf({ timezone: 'UTC' }), parameters: NOTHING }
  const initial = setOf({ timezone: 'Asia/Tokyo', 'app.a': 'x', work_mem: '1MB' })
  const findings = { ...NO_FINDINGS, settings: new Map<string, string>(), customs: new Map([['app.a', '']]) }
  const known = { parameters: initial, initial }
  assert.deepEqual(questionAbout({}).fallen(findings, server, known), [
    ['timezone', 'Asia/Tokyo'],
    ['work_mem', '1MB'],
  ])
  assert.deepEqual(questionAbout({ 'app.a': null }).fallen(findings, server, known), [
    ['app.a', 'x'],
    ['timezone', 'Asia/Tokyo'],
    ['work_mem', '1MB'],
  ])
})

test('one that the session has set to what the server has anyway has not fallen, unless it was reset', () => {
  const server = { baseline: setOf({ timezone: 'UTC' }), parameters: NOTHING }
  const known = { parameters: setOf({ timezone: 'UTC' }), initial: setOf({ timezone: 'Asia/Tokyo' }) }
  const findings = { ...NO_FINDINGS, settings: new Map<string, string>() }
  assert.deepEqual(questionAbout({}).fallen(findings, server, known), [])
  assert.deepEqual(questionAbout({ timezone: null }).fallen(findings, server, known), [['timezone', 'Asia/Tokyo']])
})
