import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../errors.ts'
import { parseConfig } from './load-config.ts'

const base = '[[shards]]\nname = "db1"\nhost = "db1"\n[monitor]\nuser = "watch"\n'

function complaints(text: string): string {
  try {
    parseConfig(base + text, { file: 'f', directory: '/', environment: {} })
    return ''
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.message
  }
}

const wrong: readonly (readonly [what: string, text: string, message: RegExp])[] = [
  ['a pool that is not there', '[tiers.low]\npools = ["replica"]', /names "replica".*pools = \["replicas"\]/],
  ['a tier that runs nowhere', '[tiers.low]\npools = []', /tiers\.low\.pools is empty/],
  ['a tier without slots', '[tiers.low]\nmax = 0', /tiers\.low\.max is 0/],
  ['more kept than reserved', '[tiers.high]\nkept = "30%"', /kept is 30%, but tiers\.high\.reserved is 20%/],
  ['more reserved than may be had', '[tiers.low]\nreserved = 9\nmax = 3', /reserved is 9, but tiers\.low\.max is 3/],
  ['more reserved than there is', '[tiers.medium]\nreserved = "90%"', /reserve 110%/],
  ['a share that is none', '[tiers.low]\nmax = "1.5%"', /tiers\.low\.max is "1\.5%"/],
  ['a rule’s pool that is not there', '[[tiers.rules]]\npools = "replica"', /tiers\.rules\[0\]\.pools names "replica"/],
  ['a rule whose reads run nowhere', '[[tiers.rules]]\npools = []', /tiers\.rules\[0\]\.pools is empty/],
  ['a rule without slots', '[[tiers.rules]]\nmax = "0%"', /tiers\.rules\[0\]\.max is 0%.*write at least 1/],
  [
    'what only tiers have, in a rule',
    '[[tiers.rules]]\nuser = "x"\ntier = "low"\nreserved = 4',
    /tiers\.rules\[0\]\.reserved is not a known key.*one with tier = "low" and write reserved in \[tiers\.low\]\./,
  ],
  [
    'what rules decide, of a user',
    '[[users]]\nname = "x"\npassword = "p"\nmax_slots = 4',
    /users\[0\]\.max_slots is not a known key.*write \[\[tiers\.rules\]\] with user = "x" and max = 4\./,
  ],
  [
    'what rules decide, of a database',
    '[databases.shop]\nqueue_wait = "3s"',
    /databases\.shop\.queue_wait is not.*write \[\[tiers\.rules\]\] with database = "shop" and queue_wait = "3s"\./,
  ],
  ['a shard that is not there', '[[shard_pools]]\nname = "x"\nshards = ["db2"]', /names "db2".*shards = \["db1"\]/],
  ['a pool that is built in', '[[shard_pools]]\nname = "all"', /shard_pools\[0\]\.name is "all", which is taken/],
]

for (const [what, text, message] of wrong) {
  test(`${what} is refused`, () => assert.match(complaints(text), message))
}

test('pools of one’s own, shares in both units and rules are accepted', () => {
  const text = `
[[shard_pools]]
name = "reporting"
shards = "db1"
[tiers.low]
pools = ["reporting", "all"]
reserved = 2
max = "10%"
[[tiers.rules]]
user = "etl-*"
tier = "background"
pools = "reporting"
max = "10%"
queue = 0
shed_order = 0`
  assert.equal(complaints(text), '')
})
