import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reduceWindow } from './measure.ts'

/** A transaction each 10 ms from `from` to `to`, all with the same latency. */
function steadyLog(from: number, to: number, latencyUs: number) {
  const finishedMs = Float64Array.from({ length: (to - from) / 10 + 1 }, (_, index) => from + index * 10)
  return { finishedMs, latencyUs: new Float64Array(finishedMs.length).fill(latencyUs) }
}

/** CPU time grows by 2 ms each 100 ms. */
function readings(from: number, to: number) {
  return Array.from({ length: (to - from) / 100 + 1 }, (_, index) => ({
    atMs: from + index * 100,
    cpuUs: index * 2000,
  }))
}

test('throughput and CPU time are of the same window, after the warm-up', () => {
  const result = reduceWindow(steadyLog(1000, 3000, 500), readings(0, 4000))
  assert.equal(result.tps, 100)
  assert.equal(result.cpuUsPerTx, 200)
  assert.equal(result.p50Ms, 0.5)
})

test('slow transactions of the warm-up do not count', () => {
  const log = steadyLog(1000, 3000, 500)
  log.latencyUs.fill(90_000, 0, 30)
  assert.equal(reduceWindow(log, readings(0, 4000)).p99Ms, 0.5)
})

test('CPU time before the first and after the last transaction does not count', () => {
  const late = readings(0, 4000).map((reading) => ({
    ...reading,
    cpuUs: reading.cpuUs + (reading.atMs > 3000 ? 1e6 : 0),
  }))
  const early = late.map((reading) => ({ ...reading, cpuUs: reading.cpuUs + (reading.atMs > 1000 ? 1e6 : 0) }))
  assert.equal(reduceWindow(steadyLog(1000, 3000, 500), early).cpuUsPerTx, 200)
})

test('a run without a transaction, or too short for a window, has no figures', () => {
  const empty = { windowMs: 0, tps: null, p50Ms: null, p99Ms: null, cpuUsPerTx: null }
  assert.deepEqual(reduceWindow(steadyLog(1000, 1010, 500), readings(0, 4000)), empty)
  assert.deepEqual(
    reduceWindow({ finishedMs: new Float64Array(), latencyUs: new Float64Array() }, readings(0, 400)),
    empty,
  )
})
