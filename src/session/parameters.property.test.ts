import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Lexer, TOKEN } from '../sql/lexer.ts'
import { isSettable, ParameterRegistry } from './parameters.ts'
import { quoteText } from './setting-statements.ts'

const name = fc.oneof(
  fc.constantFrom(
    'timezone',
    'role',
    'DateStyle',
    'search_path',
    'temp_tablespaces',
    'app.tenant',
    'app.a"b',
    'is_superuser',
  ),
  fc.stringMatching(/^[a-z]{1,3}(\.[a-z"]{1,3})?$/),
)
const value = fc.array(
  fc.constantFrom("'", '\\', '"', ';', ',', ' ', 'a', 'é', '\u{1F600}', '$$', '--', '/*', '\n', 'E'),
  {
    maxLength: 8,
  },
)
const dialect = fc.record({ user: fc.constant('app'), isSuperuser: fc.boolean(), isRaw: fc.boolean() })
const values = fc
  .array(
    fc.tuple(
      name,
      value.map((pieces) => pieces.join('')),
    ),
    { maxLength: 6 },
  )
  .map((entries) => new Map(entries))

/** The pieces of SQL as PostgreSQL sees them, with the contents of literals and quoted names. */
function words(sql: string): string[] {
  const bytes = Buffer.from(sql)
  const lexer = new Lexer()
  lexer.open(bytes, 0, bytes.length)
  const found: string[] = []
  while (lexer.next() !== TOKEN.end) found.push(meaningOf(bytes.toString('utf8', lexer.start, lexer.stop)))
  assert.equal(lexer.ambiguous, false, sql)
  return found
}

function meaningOf(token: string): string {
  if (token.startsWith('"')) return token.slice(1, -1).replaceAll('""', '"')
  if (token.startsWith("'")) return token.slice(1, -1).replaceAll("''", "'")
  if (token.startsWith("E'")) {
    return token
      .slice(2, -1)
      .replaceAll("''", "'")
      .replace(/\\(?:\\|U([0-9a-f]{8}))/g, (_, code) => (code ? String.fromCodePoint(Number.parseInt(code, 16)) : '\\'))
  }
  return token
}

/** A session that understands RESET, SET … TO and SELECT set_config(…), and nothing else. */
function apply(state: Map<string, string>, sql: string): void {
  const tokens = words(sql)
  for (let at = 0; at < tokens.length; at++) {
    const verb = tokens[at++]
    if (verb === 'SELECT') {
      const call = tokens.slice(at, at + 10)
      const [setting, literal] = [call[4] as string, call[6] as string]
      assert.deepEqual(call, ['pg_catalog', '.', 'set_config', '(', setting, ',', literal, ',', 'false', ')'])
      state.set(setting, literal)
      at += 10
    } else {
      let setting = tokens[at++] as string
      while (tokens[at] === '.') {
        setting += `.${tokens[at + 1]}`
        at += 2
      }
      if (verb === 'RESET') state.delete(setting)
      else {
        assert.equal(verb, 'SET')
        assert.equal(tokens[at++], 'TO')
        state.set(setting, tokens[at++] as string)
      }
    }
    if (at < tokens.length) assert.equal(tokens[at], ';')
  }
}

test('a session of one set that is told the difference has the other', () => {
  const registry = new ParameterRegistry()
  fc.assert(
    fc.property(values, values, dialect, (from, to, dialect) => {
      const state = new Map(registry.of(from).values)
      apply(state, registry.difference(registry.of(from), registry.of(to), dialect))
      assert.deepEqual([...state].sort(byName), [...registry.of(to).values])
    }),
    { numRuns: 500 },
  )
})

test('a set is what its entries say, however it was come by', () => {
  const registry = new ParameterRegistry()
  fc.assert(
    fc.property(values, values, (base, overrides) => {
      const merged = registry.merge(registry.of(base), overrides)
      let stepwise = registry.of(base)
      for (const [key, text] of overrides) stepwise = registry.with(stepwise, key, text)
      assert.equal(stepwise, merged)
      const model = new Map<string, string>()
      for (const [key, text] of [...base, ...overrides]) if (isSettable(key)) model.set(key.toLowerCase(), text)
      assert.deepEqual([...merged.values], [...model].sort(byName))
    }),
  )
})

test('a quoted text is one literal that means the text', () => {
  fc.assert(
    fc.property(
      value.map((pieces) => pieces.join('')),
      (text) => {
        assert.match(quoteText(text), /^[\0-\x7f]*$/)
        assert.deepEqual(words(`a${quoteText(text)}`), ['a', text])
      },
    ),
  )
})

function byName(one: readonly [string, string], other: readonly [string, string]): number {
  return one[0] < other[0] ? -1 : 1
}
