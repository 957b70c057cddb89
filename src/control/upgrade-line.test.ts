import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ControlReport } from '../memory/keeper-control-protocol.ts'
import { UpgradeLine } from './upgrade-line.ts'

test('a wish for an upgrade is settled by the keeper’s answer to it, and by no other', async () => {
  const reports: ControlReport[] = []
  const line = new UpgradeLine((report) => reports.push(report), '')
  const [first, second] = [line.begin(null), line.begin('/opt/new')]
  assert.deepEqual(reports, [
    { op: 'upgrade', id: 1, program: null },
    { op: 'upgrade', id: 2, program: '/opt/new' },
  ])
  line.answer(2, 'It is too old.')
  line.answer(7, null)
  line.answer(1, null)
  assert.match(await first, /^The upgrade has begun\./)
  await assert.rejects(second, { sqlstate: '55000', message: 'It is too old.' })
})
