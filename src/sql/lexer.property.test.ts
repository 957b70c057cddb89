import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Lexer, TOKEN } from './lexer.ts'

interface Token {
  readonly kind: number
  readonly start: number
  readonly stop: number
  readonly hash: number
}

function lex(bytes: Uint8Array, start: number, end: number): { tokens: Token[]; ambiguous: boolean } {
  const lexer = new Lexer()
  lexer.open(bytes, start, end)
  const tokens: Token[] = []
  // One token has at least one byte, so this many are enough.
  for (let most = end - start; most >= 0; most--) {
    const kind = lexer.next()
    const hash = kind === TOKEN.word ? lexer.hash : 0
    tokens.push({ kind, start: lexer.start - start, stop: lexer.stop - start, hash })
    if (kind === TOKEN.end) return { tokens, ambiguous: lexer.ambiguous }
  }
  throw new Error('the lexer does not end')
}

const piece = fc.constantFrom(
  ...["'", "''", "E'", "e'\\", "U&'", 'U&"', "b'", '"', '""', '$$', '$a$', '$1', '$', '\\', '\n', ' ', '\r', '\0'],
  ...[
    '--',
    '/*',
    '*/',
    '-',
    '/',
    '*',
    '(',
    ')',
    ';',
    '.',
    ',',
    '::',
    '1',
    '1.5',
    '0x1F',
    '1e',
    'a',
    'E',
    'é',
    'select',
  ],
)
/** Texts of which much is lexically interesting. */
const text = fc.array(piece, { maxLength: 40 }).map((pieces) => Buffer.from(pieces.join('')))

/** A text whose every byte throws when it is read outside of the part that the lexer was given. */
function guarded(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Proxy(bytes, {
    get(target, key) {
      const at = typeof key === 'string' ? Number(key) : Number.NaN
      if (Number.isInteger(at) && (at < start || at >= end))
        throw new Error(`byte ${at} of [${start}, ${end}) was read`)
      return Reflect.get(target, key)
    },
  })
}

test('tokens come in order, and between them is nothing but spaces and comments', () => {
  fc.assert(
    fc.property(text, (bytes) => {
      const { tokens, ambiguous } = lex(bytes, 0, bytes.length)
      let at = 0
      for (const { kind, start, stop } of tokens) {
        assert.ok(start >= at && (kind === TOKEN.end ? stop === start : stop > start) && stop <= bytes.length)
        const between = bytes.toString('latin1', at, start)
        if (kind !== TOKEN.end || !ambiguous) assert.match(between, /^(\s|--[^\n\r]*|\/\*[\s\S]*\*\/)*$/)
        at = stop
      }
      if (!bytes.includes(0)) assert.equal(at, bytes.length)
    }),
    { numRuns: 500 },
  )
})

test('no byte outside of the text is ever read', () => {
  fc.assert(
    fc.property(text, fc.nat(20), fc.nat(20), (bytes, before, after) => {
      const start = Math.min(before, bytes.length)
      const end = Math.max(start, bytes.length - after)
      const lexer = new Lexer()
      lexer.open(guarded(bytes, start, end), start, end)
      let kind = lexer.next()
      for (let most = bytes.length; kind !== TOKEN.end && most >= 0; most--) {
        lexer.follows(0x28)
        kind = lexer.next()
      }
      assert.equal(kind, TOKEN.end)
    }),
    { numRuns: 500 },
  )
})

test('a text within a larger buffer has the tokens of its copy', () => {
  fc.assert(
    fc.property(text, text, text, (before, bytes, after) => {
      const whole = Buffer.concat([before, bytes, after])
      const start = before.length
      assert.deepEqual(lex(whole, start, start + bytes.length), lex(bytes, 0, bytes.length))
    }),
    { numRuns: 500 },
  )
})

test('what is quoted properly is one token, whatever it holds', () => {
  const content = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('').replaceAll('\0', ''))
  const quotings: readonly ((content: string) => string)[] = [
    (inner) => `'${inner.replaceAll("'", "''").replaceAll('\\', '/')}'`,
    (inner) => `E'${inner.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`,
    (inner) => `"${inner.replaceAll('"', '""')}"`,
    (inner) => `$tag$${inner}$tag$`,
  ]
  fc.assert(
    fc.property(content, fc.constantFrom(...quotings), (inner, quoting) => {
      const bytes = Buffer.from(`a ${quoting(inner)} b`)
      const { tokens, ambiguous } = lex(bytes, 0, bytes.length)
      assert.equal(ambiguous, false)
      assert.deepEqual(
        tokens.map(({ start, stop }) => [start, stop]),
        [
          [0, 1],
          [2, bytes.length - 2],
          [bytes.length - 1, bytes.length],
          [bytes.length, bytes.length],
        ],
      )
    }),
    { numRuns: 500 },
  )
})
