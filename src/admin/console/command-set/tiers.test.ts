import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TestAnalyzer } from '../../../analyzer/analyzer.fixture.ts'
import { oneQuestionModel, vocabularyOf } from '../../../analyzer/model.fixture.ts'
import { RouterError } from '../../../errors.ts'
import { CLIENT, CLIENT_STATE } from '../../../memory/client-slots.ts'
import { TestRouter } from '../../router-control.fixture.ts'
import { clientId } from '../../slot-id.ts'
import { StatsSampler } from '../../stats/stats-sampler.ts'
import type { ReportContext } from '../command.ts'
import { splitStatements } from '../tokens.ts'
import { explainTier } from './explain-tier.ts'
import { showProfiles } from './show-profiles.ts'
import { showTiers } from './show-tiers.ts'

const MODEL = oneQuestionModel('duration', 4, [4, 0, 0, 0], [0, 0, 0, 4], vocabularyOf(['alice', 'web']))

/** A router whose clients a real analyzer has profiled. */
function openRouter(mode: 'shadow' | 'enforce') {
  const test = new TestAnalyzer({ mode })
  test.analyzer.setModel(MODEL, test.now)
  const router = new TestRouter()
  Object.defineProperty(router, 'memory', { value: test.memory })
  router.analyzerState = { ...router.analyzerState, model: test.analyzer.model }
  const values = { ...router.values(), analyzer: { ...router.values().analyzer, mode } }
  router.values = () => values
  const connect = (slot: number, who: Parameters<TestAnalyzer['connect']>[1]): number => {
    test.connect(slot, who)
    const { clients } = test.memory
    clients.i32[slot * (clients.recordBytes >> 2) + CLIENT.state] = CLIENT_STATE.idle
    return clientId(clients, slot)
  }
  const context: ReportContext = { control: router, stats: new StatsSampler(router) }
  const table = (columns: readonly { readonly name: string }[], rows: Iterable<readonly unknown[]>) =>
    Array.from(rows, (row) => Object.fromEntries(columns.map(({ name }, at) => [name, row[at]])))
  const explain = (id: number): string[] => {
    const [argument = []] = splitStatements(String(id))
    return Array.from(explainTier.prepare(argument)(context), ([line]) => String(line))
  }
  return { test, connect, context, table, explain }
}

describe('the console', () => {
  it('shows who decided on each client, and how likely each tier is', () => {
    const { connect, context, table } = openRouter('enforce')
    connect(1, { application: 'web' })
    connect(4, { user: 'stranger', hint: 'low' })
    const [one, other, ...rest] = table(showProfiles.columns, showProfiles.rows(context))
    assert.equal(rest.length, 0)
    assert.equal(one?.tier, 'high')
    assert.equal(one?.source, 'model')
    assert.ok(Number(one?.p_high) > 0.9)
    assert.equal(one?.query_ms, null)
    assert.deepEqual([other?.tier, other?.source, other?.identity_seen, other?.p_high], ['low', 'hint', false, null])
  })

  it('counts the clients of each tier by who decided', () => {
    const { connect, context, table } = openRouter('shadow')
    connect(1, { application: 'web' })
    connect(2, { user: 'stranger' })
    const rows = table(showTiers.columns, showTiers.rows(context))
    assert.deepEqual(
      rows.map(({ tier, clients, by_default, proposed }) => [tier, clients, by_default, proposed]),
      [
        ['high', 0, 0, 1],
        ['medium', 2, 2, 1],
        ['low', 0, 0, 0],
        ['background', 0, 0, 0],
      ],
    )
  })

  it('explains a tier in words', () => {
    const { test, connect, explain } = openRouter('enforce')
    const id = connect(1, { application: 'web' })
    for (let query = 0; query < 16; query++) test.request(1, { ms: 400 })
    const lines = explain(id)
    assert.match(lines[0] as string, /^The client is background\. The model [0-9a-f]{8} says background\.$/)
    assert.match(lines[2] as string, /a typical query takes \d+ ms/)
  })

  it('says what it would be if the model counted, and why the model says nothing', () => {
    const { connect, explain } = openRouter('shadow')
    assert.ok(explain(connect(1, {})).includes('With analyzer.mode = "enforce" it would be high.'))
    assert.match(explain(connect(2, { user: 'stranger' })).join(' '), /has not seen user "stranger"/)
  })

  it('has no explanation for a client that is gone', () => {
    const { explain } = openRouter('shadow')
    assert.throws(() => explain(77), RouterError)
  })
})
