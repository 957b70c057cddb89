import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClientOutcome } from '../continuity/report.ts'
import type { PlaneEvent } from '../memory/control-protocol.ts'
import { PLANE_RECORD_BYTES } from '../memory/layout.ts'
import { LOST_KIND, PLANE, PLANE_F64 } from '../memory/plane-records.ts'
import { Region } from '../memory/region.ts'
import { TimerWheel } from '../util/timer-wheel.ts'
import { renewPlaneRecord, TakeOverReport } from './take-over-report.ts'

const PLANE_INDEX = 1
const I32 = PLANE_INDEX * (PLANE_RECORD_BYTES >> 2)
const F64 = PLANE_INDEX * (PLANE_RECORD_BYTES >> 3)

const records = (): Region => new Region(new ArrayBuffer(2 * PLANE_RECORD_BYTES), 0, PLANE_RECORD_BYTES, 2)

test('a new process begins with an empty record, but for what lasts, and knows whom it follows', () => {
  const planes = records()
  assert.equal(renewPlaneRecord(planes, PLANE_INDEX), null)
  planes.i32[I32 + PLANE.pid] = 4711
  planes.i32[I32 + PLANE.lostKind] = LOST_KIND.released
  planes.f64[F64 + PLANE_F64.lostAt] = 123.5
  planes.f64[F64 + PLANE_F64.turns] = 9
  planes.f64[F64 + PLANE_F64.clientsKept] = 40
  assert.deepEqual(renewPlaneRecord(planes, PLANE_INDEX), { event: 'upgrade', lostAt: 123.5 })
  assert.equal(planes.i32[I32 + PLANE.pid], 0)
  assert.equal(planes.f64[F64 + PLANE_F64.turns], 0)
  assert.equal(planes.f64[F64 + PLANE_F64.clientsKept], 40)
  planes.i32[I32 + PLANE.lostKind] = LOST_KIND.crashed
  assert.equal(renewPlaneRecord(planes, PLANE_INDEX)?.event, 'plane-crash')
})

test('sums go into the record and the log, and names to control in pieces, each in its time', () => {
  const planes = records()
  const told: PlaneEvent[] = []
  const timers = new TimerWheel(1_000)
  const tell = (event: PlaneEvent): number => told.push(event)
  const host = { now: 1_000, timers, planes, planeIndex: PLANE_INDEX, isHeard: true, tell }
  const dropped = { user: 'alice', database: 'app', applicationName: '', address: '', remotePort: 1, told: true }
  const outcomes: ClientOutcome[] = Array.from({ length: 150 }, (_, slot) => ({
    kept: false,
    client: { ...dropped, slot, generation: 1, reason: 'it was leaving' },
  }))
  outcomes.push({ kept: true, slot: 200, generation: 3 })
  const pass = (from: number, to: number): void => {
    for (let now = from; now <= to; now += 16) {
      host.now = now
      timers.advance(now)
    }
  }
  const report = new TakeOverReport(host)
  report.send({ event: 'plane-crash', lostAt: 950 }, outcomes)
  report.send({ event: 'plane-crash', lostAt: 980 }, outcomes)
  const total = (field: number) => planes.f64[F64 + field]
  assert.deepEqual(
    [PLANE_F64.takeovers, PLANE_F64.clientsKept, PLANE_F64.clientsDropped, PLANE_F64.stallMs].map(total),
    [2, 2, 300, 20],
  )
  told.length = 0
  report.send({ event: 'plane-crash', lostAt: 990 }, outcomes)
  assert.equal(told.length, 0, 'not now')
  pass(1_050, 1_066)
  const [log, summary] = told
  assert.ok(log?.op === 'log' && log.level === 'warn')
  assert.equal(log.message, 'plane 1 died: 1 clients kept, 150 dropped, 10 ms without service')
  assert.equal(log.fields.reason, 'it was leaving: 150')
  assert.ok(summary?.op === 'preserved' && summary.summary.dropped === 150)
  const batches = () => told.flatMap((event) => (event.op === 'preserved-clients' ? [event.batch] : []))
  assert.deepEqual(batches(), [{ kept: [200, 3] }])
  pass(1_066, 1_200)
  assert.deepEqual(
    batches().map(({ dropped: names }) => names?.length),
    [undefined, 100, 50],
  )
})

test('it waits for control, while the sums are there already', () => {
  const planes = records()
  const told: string[] = []
  const timers = new TimerWheel(1_000)
  const tell = ({ op }: PlaneEvent): number => told.push(op)
  const host = { now: 1_000, timers, planes, planeIndex: PLANE_INDEX, isHeard: false, tell }
  new TakeOverReport(host).send({ event: 'upgrade', lostAt: 950 }, [{ kept: true, slot: 1, generation: 1 }])
  const pass = (): void => {
    host.now += 150
    timers.advance(host.now)
  }
  pass()
  assert.deepEqual([told, planes.f64[F64 + PLANE_F64.clientsKept]], [[], 1])
  host.isHeard = true
  pass()
  assert.deepEqual(told, ['log', 'preserved', 'preserved-clients'])
})
