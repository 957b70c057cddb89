import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configText } from '../../config/config-text.fixture.ts'
import { parseConfig } from '../../config/load-config.ts'
import { policyTable } from './policy-table.ts'

const BASE = `${configText('db1')}max_connections = 10
`

const tableOf = (text: string): readonly string[] =>
  policyTable(parseConfig(`${BASE}${text}`, { file: 'f', directory: '/', environment: {} }))

test('limits of time are told, the stricter one of the tier and of everybody', () => {
  const [, , high, , low] = tableOf('[timeouts]\nquery = "1min"\n[tiers.low]\nquery = "30s"\ntransaction = "5min"\n')
  assert.match(high ?? '', /^high .* last {5}1m +no limit +what/)
  assert.match(low ?? '', /^low .* second {3}30s +5m +what/)
})

test('who is never refused for others, and equals', () => {
  const lines = tableOf('[tiers.high]\nshed_order = 0\n[tiers.medium]\nshed_order = 4\n')
  assert.deepEqual(
    lines.slice(2).map((line) => /never(?! lent)|first|second|third|last/.exec(line)?.[0]),
    ['never', 'first', 'second', 'first'],
  )
})

test('no tier has more reserved than it may have', () => {
  const line = tableOf('[tiers.high]\nmax = 1\nkept = 1\n')[2] ?? ''
  assert.match(line, /^high +primary +1, 1 never lent +1 +10000/)
})

test('rules are told with all that they say', () => {
  const rules = `[[tiers.rules]]
application = "nightly-*"
tier = "background"
query = "1h"
transaction = "0s"
[[tiers.rules]]
user = "audit"
consistency = "strong"
queue_wait = "10s"
[[tiers.rules]]
database = "x"
[[tiers.rules]]
user = "report-*"
max = "15%"
queue = 50
shed_order = 5
pools = ["replicas", "all"]
[[tiers.rules]]
user = "shop"
shed_order = 3
[[tiers.rules]]
user = "till"
shed_order = 0
`
  assert.deepEqual(tableOf(rules).slice(6), [
    'rule 1, user *, database *, application nightly-*: tier background, query 1h, transaction no limit',
    'rule 2, user audit, database *, application *: reads see everything, wait for 10s',
    'rule 3, user *, database x, application *: as their tier',
    'rule 4, user report-*, database *, application *: reads run on primary, at most 2 slots together, 50 may wait, refused before tier background',
    'rule 5, user shop, database *, application *: refused when tier low is',
    'rule 6, user till, database *, application *: never refused for others',
  ])
})
