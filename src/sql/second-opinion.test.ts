import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LONGEST_PARSED, type Parsed, PostgresParser } from './postgres-parser.ts'
import { SecondOpinion } from './second-opinion.ts'

const parser = await PostgresParser.load()

/** `costMs`: how long each text takes, on a clock that stands still otherwise. */
function opinionOf(costMs = 0, parse = (text: string): Parsed => parser.parse(text)) {
  const clock = { now: 1000 }
  const opinion = new SecondOpinion(
    {
      parse: (text) => {
        clock.now += costMs
        return parse(text)
      },
    },
    () => clock.now,
  )
  const of = (sql: string) => {
    const bytes = Buffer.from(`'${sql}'`)
    return opinion.of(bytes, 1, bytes.length - 1)
  }
  return { opinion, clock, of }
}

test('texts that differ in constants only are parsed once', () => {
  const { opinion, of } = opinionOf()
  assert.deepEqual(of('select f(1)')?.calls, [{ schema: null, name: 'f' }])
  assert.equal(of('SELECT f(2, 3)'), of('select f(1)'))
  assert.equal(opinion.parsed, 1)
  assert.deepEqual(of('select g(1)')?.calls, [{ schema: null, name: 'g' }])
  assert.equal(opinion.parsed, 2)
})

test('what the grammar refuses is remembered too, and gives no opinion', () => {
  const { opinion, of } = opinionOf()
  assert.equal(of('select from where'), null)
  assert.equal(of('select from where'), null)
  assert.equal(opinion.parsed, 1)
})

test('what is too long is not parsed', () => {
  const { opinion, of } = opinionOf()
  assert.equal(of(`select f(${'a,'.repeat(LONGEST_PARSED / 2)} b)`), null)
  assert.equal(opinion.parsed, 0)
})

test('a parser that cannot decide is asked again, as it may have been the length in another encoding', () => {
  const { opinion, of } = opinionOf(0, () => ({ kind: 'undecided' }))
  assert.equal(of('select f(1)'), null)
  assert.equal(of('select f(1)'), null)
  assert.equal(opinion.parsed, 2)
})

test('parsing takes a share of the time and no more; what is remembered is told meanwhile', () => {
  const { opinion, clock, of } = opinionOf(100)
  for (const name of ['a', 'b', 'c']) assert.notEqual(of(`select ${name}()`), null)
  assert.equal(of('select d()'), null, '250 ms saved are used up')
  assert.equal(opinion.declined, 1)
  assert.notEqual(of('select a()'), null)
  clock.now += 2000
  assert.notEqual(of('select d()'), null)
  assert.equal(of('select e()'), null)
})

test('what has not been used for thousands of texts is forgotten, what is used is not', () => {
  const { opinion, of } = opinionOf()
  of('select often()')
  of('select once()')
  for (let n = 0; n < 4500; n++) {
    of(`select f${n}()`)
    if (n % 1000 === 0) of('select often()')
  }
  const before = opinion.parsed
  assert.notEqual(of('select often()'), null)
  assert.equal(opinion.parsed, before)
  assert.notEqual(of('select once()'), null)
  assert.equal(opinion.parsed, before + 1)
})
