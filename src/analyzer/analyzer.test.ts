import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { HistoryRing, SNAPSHOT } from '../memory/history-ring.ts'
import { EMPTY_RULE } from '../shard/tier-rule.fixture.ts'
import { TestAnalyzer } from './analyzer.fixture.ts'
import { FEATURE } from './feature-schema.ts'
import { oneQuestionModel, vocabularyOf } from './model.fixture.ts'
import { profileLines } from './profile-report.ts'
import { BadModel } from './tier-model.ts'

/** Slow queries are background with about 0.95, quick ones high. */
const QUICK_IS_HIGH = oneQuestionModel('duration', 4, [4, 0, 0, 0], [0, 0, 0, 4], vocabularyOf(['alice', 'web']))

/** Has learned from clients whose queries take 300 ms to 500 ms. */
const KNOWS_SLOW = oneQuestionModel('duration', 4, [4, 0, 0, 0], [0, 0, 0, 4], vocabularyOf(['alice', 'web']), {
  features: [FEATURE.duration],
  means: [8.5],
  deviations: [1],
  centres: [0],
  missing: [0],
  reach: 1,
})

describe('settings of a session', () => {
  it('count from login on, and as they change', () => {
    const test = new TestAnalyzer()
    const said = (): string[] =>
      profileLines(test.analyzer, 3, test.now).flatMap(([name, text]) =>
        name === 'statementTimeout' || name === 'readOnly' ? [text] : [],
      )
    test.connect(3, { settings: { statement_timeout: '4s' } })
    test.request(3)
    const before = said()
    test.analyzer.settingsChanged(3, new Map([['default_transaction_read_only', 'on']]))
    test.request(3)
    assert.deepEqual(before, ['it asked for a statement_timeout of 4 s', 'it did not ask for read-only transactions'])
    assert.deepEqual(said(), ['it asked for read-only transactions'])
    // Nobody has this slot.
    test.analyzer.settingsChanged(4, new Map())
    assert.equal(profileLines(test.analyzer, 4, test.now).length, 1)
  })
})

describe('a connection with an identity of the training', () => {
  it('has the tier that the model gives it from the start', () => {
    const test = new TestAnalyzer()
    test.analyzer.setModel(QUICK_IS_HIGH, test.now)
    test.connect(3)
    assert.equal(test.tierOf(3), 'high')
  })

  it('loses it within sixteen queries when it behaves otherwise', () => {
    const test = new TestAnalyzer()
    test.analyzer.setModel(QUICK_IS_HIGH, test.now)
    test.connect(3)
    for (let query = 0; query < 16; query++) test.request(3, { ms: 400 })
    assert.equal(test.tierOf(3), 'background')
    assert.equal(test.counts.tierFlaps, undefined)
  })
})

describe('a connection with an identity that nobody has seen', () => {
  it('gets no answer of the model before there is evidence', () => {
    const test = new TestAnalyzer()
    test.analyzer.setModel(QUICK_IS_HIGH, test.now)
    test.connect(0, { user: 'stranger' })
    for (let query = 0; query < 15; query++) test.request(0, { ms: 400 })
    assert.equal(test.tierOf(0), 'medium')
    assert.equal(test.counts.tierAbstentions, 5)
    test.request(0, { ms: 400 })
    assert.equal(test.tierOf(0), 'background')
  })

  it('keeps what its identity was when it came, while others of it turn out to be something else', () => {
    const test = new TestAnalyzer()
    test.analyzer.setModel(QUICK_IS_HIGH, test.now)
    const shared = { user: 'stranger', application: 'shared' }
    test.connect(0, shared)
    for (let query = 0; query < 16; query++) test.request(0, { ms: 400 })
    test.connect(1, shared)
    test.connect(2, shared)
    for (let query = 0; query < 16; query++) test.request(2, { ms: 1 })
    assert.deepEqual([test.tierOf(1), test.tierOf(2)], ['background', 'high'])
    test.request(1, { ms: 1 })
    assert.equal(test.tierOf(1), 'background')
    test.connect(3, shared)
    assert.equal(test.tierOf(3), 'high')
    test.rename(1, 'another name')
    assert.equal(test.tierOf(1), 'medium')
  })

  it('gets none when it behaves like nobody in training, and one when it does', () => {
    const test = new TestAnalyzer()
    test.analyzer.setModel(KNOWS_SLOW, test.now)
    test.connect(0, { user: 'stranger' })
    test.connect(1, { user: 'stranger', application: 'other' })
    test.connect(2)
    for (let query = 0; query < 32; query++) {
      test.request(0, { ms: 2 })
      test.request(1, { ms: 400 })
      test.request(2, { ms: 2 })
    }
    assert.equal(test.tierOf(0), 'medium')
    const lines = Object.fromEntries(profileLines(test.analyzer, 0, test.now))
    assert.match(lines.why ?? '', /nobody there behaved like it: the default/)
    assert.equal(test.tierOf(1), 'background')
    assert.equal(test.tierOf(2), 'high', 'a name that is known is judged in any case')
  })

  it('goes on with what it has, whatever it does later', () => {
    const test = new TestAnalyzer()
    test.analyzer.setModel(KNOWS_SLOW, test.now)
    test.connect(1, { user: 'stranger' })
    for (let query = 0; query < 16; query++) test.request(1, { ms: 400 })
    assert.equal(test.tierOf(1), 'background')
    for (let query = 0; query < 400; query++) test.request(1, { ms: 40 })
    const lines = Object.fromEntries(profileLines(test.analyzer, 1, test.now))
    assert.deepEqual([lines.tier, lines.source], ['background', 'model'])
  })

  it('is what connections like it were last', () => {
    const test = new TestAnalyzer()
    test.analyzer.setModel(QUICK_IS_HIGH, test.now)
    test.connect(0, { user: 'stranger', application: 'job-1' })
    for (let query = 0; query < 16; query++) test.request(0, { ms: 400 })
    test.analyzer.disconnected(0, test.now)
    test.connect(1, { user: 'stranger', application: 'job-2' })
    assert.equal(test.tierOf(1), 'background')
  })
})

describe('what counts', () => {
  it('is not the model in the shadow, but shown is what it would be', () => {
    const test = new TestAnalyzer({ mode: 'shadow' })
    test.analyzer.setModel(QUICK_IS_HIGH, test.now)
    test.connect(0)
    assert.equal(test.tierOf(0), 'medium')
    const lines = Object.fromEntries(profileLines(test.analyzer, 0, test.now))
    assert.equal(lines.tier, 'medium')
    assert.equal(lines.proposed, 'high')
  })

  it('is nothing of the model when it is switched off', () => {
    const test = new TestAnalyzer({ mode: 'off' })
    test.analyzer.setModel(QUICK_IS_HIGH, test.now)
    test.connect(0)
    assert.equal(test.tierOf(0), 'medium')
    assert.equal(test.counts.tierEvaluations, undefined)
  })

  it('is nothing of the model from the moment that it is switched off, for open connections too', () => {
    const test = new TestAnalyzer()
    test.analyzer.setModel(QUICK_IS_HIGH, test.now)
    test.connect(0)
    assert.equal(test.tierOf(0), 'high')
    test.analyzer.setValues({ ...test.analyzer.values, mode: 'off' }, [], test.now)
    assert.equal(test.tierOf(0), 'medium')
  })

  it('changes at the end of a transaction, not within', () => {
    const test = new TestAnalyzer({ evidenceQueries: 2 })
    test.analyzer.setModel(QUICK_IS_HIGH, test.now)
    test.connect(0, { user: 'stranger' })
    test.request(0, { ms: 400, status: 0x54, tags: ['BEGIN'] })
    test.request(0, { ms: 400, status: 0x54 })
    assert.equal(test.tierOf(0), 'medium')
    test.request(0, { ms: 400, tags: ['COMMIT'] })
    assert.equal(test.tierOf(0), 'background')
  })

  it('is a new rule, for open connections too', () => {
    const test = new TestAnalyzer()
    test.connect(0)
    const rule = { ...EMPTY_RULE, user: 'al*', tier: 'low' } as const
    test.analyzer.setValues(test.analyzer.values, [rule], test.now)
    assert.equal(test.tierOf(0), 'low')
  })

  it('is a hint that raises, of a user who may', () => {
    const test = new TestAnalyzer({ raisingUsers: ['alice'] })
    test.connect(0, { hint: 'high' })
    test.connect(1, { user: 'bob', hint: 'high' })
    assert.deepEqual([test.tierOf(0), test.tierOf(1)], ['high', 'medium'])
    test.analyzer.hinted(0, 'low', test.now)
    assert.equal(test.tierOf(0), 'low')
    test.analyzer.hinted(0, undefined, test.now)
    assert.equal(test.tierOf(0), 'high')
  })
})

describe('a runaway', () => {
  const runaway = { elapsedMs: 1000, rows: 0, bytes: 0, action: 'demote', tier: 'low', cooldownMs: 60_000 } as const

  it('is lowered at the end of its transaction, and counted once', () => {
    const test = new TestAnalyzer({ runaway })
    test.connect(0)
    test.request(0, { ms: 1500 })
    assert.equal(test.tierOf(0), 'low')
    assert.equal(test.counts.runaways, 1)
  })

  it('is forgiven after the cooldown', () => {
    const test = new TestAnalyzer({ runaway })
    test.connect(0)
    test.request(0, { ms: 1500 })
    test.request(0, { thinkMs: 60_000 })
    test.request(0)
    assert.equal(test.tierOf(0), 'medium')
  })

  it('is only counted in a dry run', () => {
    const test = new TestAnalyzer({ runaway: { ...runaway, action: 'dryrun' } })
    test.connect(0)
    test.request(0, { ms: 1500 })
    assert.equal(test.tierOf(0), 'medium')
    assert.equal(test.counts.runaways, 1)
  })
})

describe('a model', () => {
  it('that is damaged is refused, and the last good one stays', () => {
    const test = new TestAnalyzer()
    test.analyzer.setModel(QUICK_IS_HIGH, test.now)
    const { model } = test.analyzer
    assert.throws(() => test.analyzer.setModel({ ...QUICK_IS_HIGH, temperature: 2 }, test.now), BadModel)
    assert.throws(() => test.analyzer.setModel({ ...QUICK_IS_HIGH, featureHash: 'other' }, test.now), /other features/)
    assert.equal(test.analyzer.model, model)
  })

  it('is asked from the next evaluation on when it is exchanged', () => {
    const test = new TestAnalyzer()
    test.analyzer.setModel(
      oneQuestionModel('duration', 4, [0, 0, 4, 0], [0, 0, 0, 4], vocabularyOf(['alice', 'web'])),
      test.now,
    )
    test.analyzer.setModel(QUICK_IS_HIGH, test.now)
    test.connect(0)
    assert.equal(test.tierOf(0), 'high')
  })
})

it('without a model any more, its word does not count any more', () => {
  const test = new TestAnalyzer()
  test.analyzer.setModel(QUICK_IS_HIGH, test.now)
  test.connect(0)
  test.analyzer.setModel(null, test.now)
  test.request(0)
  assert.equal(test.tierOf(0), 'medium')
})

it('snapshots of the history are taken at 0, 1, 4, 16, 64 … queries and at the end, with who it was', () => {
  const test = new TestAnalyzer()
  test.connect(0, { application: 'web 5' })
  for (let query = 0; query < 70; query++) test.request(0)
  test.analyzer.disconnected(0, test.now)
  const { history } = test.memory
  const seen: string[] = []
  new HistoryRing(history, 0).drain((record) => {
    const of = (field: number): number => history.i32[record * (history.recordBytes >> 2) + field] as number
    seen.push(`${of(SNAPSHOT.kind)} ${of(SNAPSHOT.queries)} ${history.readText(record, 640)}`)
  })
  assert.deepEqual(seen, ['0 0 web #', '0 1 web #', '0 4 web #', '0 16 web #', '0 64 web #', '1 70 web #'])
})

it('rules that changed while a client rested hold for it when it goes on', () => {
  const test = new TestAnalyzer()
  test.connect(0, { user: 'ann' })
  test.replace([
    { ...EMPTY_RULE, user: 'bob' },
    { ...EMPTY_RULE, user: 'ann', tier: 'low' },
  ])
  assert.deepEqual([test.analyzer.ruleOf(0), test.tierOf(0)], [-1, 'medium'])
  test.analyzer.resumed(0, test.now)
  assert.deepEqual([test.analyzer.ruleOf(0), test.tierOf(0)], [1, 'low'])
  test.replace()
  test.analyzer.resumed(0, test.now)
  assert.deepEqual([test.analyzer.ruleOf(0), test.tierOf(0)], [-1, 'medium'])
})

it('a plane that takes over finds profiles and identities as they were', () => {
  const test = new TestAnalyzer()
  test.analyzer.setModel(QUICK_IS_HIGH, test.now)
  test.connect(0)
  for (let query = 0; query < 5; query++) test.request(0)
  test.replace()
  test.analyzer.resumed(0, test.now)
  test.analyzer.setModel(QUICK_IS_HIGH, test.now)
  assert.equal(test.tierOf(0), 'high')
  assert.equal(test.analyzer.identities.size, 1)
  test.request(0)
  assert.equal(Object.fromEntries(profileLines(test.analyzer, 0, test.now)).queries, '6')
})
