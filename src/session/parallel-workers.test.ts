import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parallelismSql } from './parallel-workers.ts'

test('only what is not as it should be is changed', () => {
  assert.deepEqual(
    (['own', 'serial', 'unknown'] as const).map((has) => [parallelismSql(has, 'own'), parallelismSql(has, 'serial')]),
    [
      ['', 'SET "max_parallel_workers" TO 0'],
      ['RESET "max_parallel_workers"', ''],
      ['RESET "max_parallel_workers"', 'SET "max_parallel_workers" TO 0'],
    ],
  )
})
