import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { PreservationFile } from './preservation-file.ts'
import type { PreservationEntry, PreservedClient } from './preservation-ledger.ts'

const client = (slot: number, kept: boolean): PreservedClient => {
  const who = {
    slot,
    generation: 1,
    user: `user${slot}`,
    database: 'app',
    applicationName: '',
    address: '',
    remotePort: 1,
  }
  return kept ? { ...who, kept, relocated: false } : { ...who, kept, reason: 'it was leaving', told: true }
}

const entry = (id: number, clients: readonly PreservedClient[] = []): PreservationEntry => ({
  ...{ id, clients, event: 'plane-crash', plane: 0, beganAt: 100 + id, stallMs: 5 },
  ...{ kept: 1, dropped: 1, told: 1, reasons: { 'it was leaving': 1 } },
})

function open(): { readonly file: PreservationFile; readonly path: string; readonly ignored: string[] } {
  const directory = temporaryDirectory()
  const ignored: string[] = []
  const file = new PreservationFile(directory, (reason) => ignored.push(reason))
  return { file, path: join(directory, 'preservation.json'), ignored }
}

beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }))
afterEach(() => mock.timers.reset())

test('what is kept is read again, and a file that is not there is nothing to speak of', () => {
  const { file, ignored } = open()
  assert.deepEqual(file.read(), [])
  const entries = [entry(2, [client(7, false), client(3, true)]), entry(1)]
  file.keep(entries)
  assert.deepEqual(file.read(), entries)
  assert.deepEqual(ignored, [])
})

test('the first change is written at once, those that follow closely together', () => {
  const { file } = open()
  file.keep([entry(1)])
  file.keep([entry(2), entry(1)])
  file.keep([entry(3), entry(2), entry(1)])
  assert.equal(file.read().length, 1)
  mock.timers.tick(50)
  assert.equal(file.read().length, 3)
  file.keep([entry(4)])
  file.flush()
  assert.deepEqual(file.read(), [entry(4)])
})

test('a torn file, one with something else, and one that is not to be read are begun anew, with a reason that names it', () => {
  const { file, path, ignored } = open()
  file.keep([entry(1, [client(1, true)])])
  const whole = readFileSync(path, 'utf8')
  const wrong = [whole.slice(0, -10), '', '{}', '[null]', whole.replace('"stallMs":5', '"stallMs":"5"')]
  wrong.push(whole.replace('"kept":true', '"kept":null'), whole.replace('{"it was leaving":1}', 'null'))
  for (const text of wrong) {
    writeFileSync(path, text)
    assert.deepEqual(file.read(), [], text)
    assert.match(ignored.pop() ?? '', new RegExp(`^${path} .*SHOW PRESERVATION begins anew$`), text)
  }
  writeFileSync(path, whole)
  assert.equal(file.read().length, 1)
})

test('the file is bounded: of very many clients it has those that were dropped, and some of the others', () => {
  const { file } = open()
  const kept = Array.from({ length: 5000 }, (_, slot) => client(slot, true))
  file.keep([entry(1, [...kept, client(9999, false)])])
  const [found] = file.read()
  assert.deepEqual([found?.clients.length, found?.clients[0]?.slot], [2000, 9999])
})

test('a file that cannot be written is told, and nothing else', () => {
  const ignored: string[] = []
  new PreservationFile('/nowhere/at/all', (reason) => ignored.push(reason)).keep([entry(1)])
  assert.match(ignored.join(), /^\/nowhere\/at\/all\/preservation\.json cannot be written: /)
})
