import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Lexer, TOKEN } from './lexer.ts'
import { wordHash } from './word-table.ts'

const KINDS = Object.fromEntries(Object.entries(TOKEN).map(([name, kind]) => [kind, name]))

/** The tokens of a text as `kind:source`, punctuation as its byte only; `!` at the end when the text is ambiguous. */
function tokens(sql: string | Buffer): string[] {
  const bytes = Buffer.from(sql)
  const lexer = new Lexer()
  lexer.open(bytes, 0, bytes.length)
  const found: string[] = []
  for (let kind = lexer.next(); kind !== TOKEN.end; kind = lexer.next()) {
    assert.equal(kind, lexer.kind)
    const source = bytes.toString('utf8', lexer.start, lexer.stop)
    if (lexer.kind === TOKEN.punctuation) {
      assert.equal(String.fromCharCode(lexer.char), source)
      found.push(source)
    } else found.push(`${KINDS[lexer.kind]}:${source}`)
  }
  if (lexer.ambiguous) found.push('!')
  return found
}

function assertTokens(table: readonly (readonly [sql: string, expected: readonly string[]])[]): void {
  for (const [sql, expected] of table) assert.deepEqual(tokens(sql), expected, sql)
}

test('a string ends at its quote, and two quotes within it are one character', () => {
  assertTokens([
    ["''", ["string:''"]],
    ["'a'", ["string:'a'"]],
    ["'it''s' x", ["string:'it''s'", 'word:x']],
    ["'''' x", ["string:''''", 'word:x']],
    ["'a' 'b'", ["string:'a'", "string:'b'"]],
    ["'-- no comment' x", ["string:'-- no comment'", 'word:x']],
    ["'/* neither' x", ["string:'/* neither'", 'word:x']],
    ["'a\nb'x", ["string:'a\nb'", 'word:x']],
    ["'$$' x '$$'", ["string:'$$'", 'word:x', "string:'$$'"]],
  ])
})

test('in an escape string a backslash takes the next character along', () => {
  assertTokens([
    ["E'a\\'b' x", ["string:E'a\\'b'", 'word:x']],
    ["e'\\\\' x", ["string:e'\\\\'", 'word:x']],
    ["E'it''s\\'' x", ["string:E'it''s\\''", 'word:x']],
    ["E'\\n' x", ["string:E'\\n'", 'word:x']],
    ["E 'a'", ['word:E', "string:'a'"]],
    ["fe'a'", ['word:fe', "string:'a'"]],
  ])
})

test('B, X, N and U& before a quote belong to the string', () => {
  for (const prefix of ['b', 'B', 'x', 'X', 'n', 'N', 'u&', 'U&']) {
    assert.deepEqual(tokens(`${prefix}'01' z`), [`string:${prefix}'01'`, 'word:z'])
  }
  assertTokens([
    ["z'01'", ['word:z', "string:'01'"]],
    ["u & 'a'", ['word:u', '&', "string:'a'"]],
    ["nu&'a'", ['word:nu', '&', "string:'a'"]],
    ['u&a', ['word:u', '&', 'word:a']],
    ['u&', ['word:u', '&']],
  ])
})

test('a backslash before the quote of an ordinary string makes the text ambiguous, elsewhere it does not', () => {
  assertTokens([
    ["'a\\' x", ["string:'a\\'", 'word:x', '!']],
    ["'a\\''", ["string:'a\\''", '!']],
    ["u&'\\' x", ["string:u&'\\'", 'word:x', '!']],
    ["'C:\\temp\\x' y", ["string:'C:\\temp\\x'", 'word:y']],
    ['"a\\" x', ['quotedName:"a\\"', 'word:x']],
    ['$$a\\$$ x', ['string:$$a\\$$', 'word:x']],
  ])
})

test('quoted names may hold anything; two double quotes are one, and unicode escapes are left undecided', () => {
  assertTokens([
    ['"a b"', ['quotedName:"a b"']],
    ['"a""b" x', ['quotedName:"a""b"', 'word:x']],
    ['"--" "/*" \'"\' x', ['quotedName:"--"', 'quotedName:"/*"', "string:'\"'", 'word:x']],
    ['"it\'s" x', ['quotedName:"it\'s"', 'word:x']],
    ['a"b"', ['word:a', 'quotedName:"b"']],
    ['U&"d\\0061t" x', ['quotedName:U&"d\\0061t"', 'word:x', '!']],
  ])
})

test('a dollar quote ends at its own tag only', () => {
  assertTokens([
    ['$$a$$ x', ['string:$$a$$', 'word:x']],
    ['$$$$ x', ['string:$$$$', 'word:x']],
    ['$a$ $$ $b$ $a$ x', ['string:$a$ $$ $b$ $a$', 'word:x']],
    ['$a$ $A$ $a$ x', ['string:$a$ $A$ $a$', 'word:x']],
    ['$_1$ $_$ $_1$ x', ['string:$_1$ $_$ $_1$', 'word:x']],
    ["$é$ it's $é$ x", ["string:$é$ it's $é$", 'word:x']],
    ['$a$$a$$b$$b$ x', ['string:$a$$a$', 'string:$b$$b$', 'word:x']],
    ['$a$ $b$a$ x', ['string:$a$ $b$a$', 'word:x']],
    ['$a$ $a$a$ x', ['string:$a$ $a$', 'word:a$', 'word:x']],
    ['$$\';/*--"$$ x', ['string:$$\';/*--"$$', 'word:x']],
  ])
})

test('a dollar sign within a word or before a digit begins no dollar quote', () => {
  assertTokens([
    ['a$b$c', ['word:a$b$c']],
    ['a$$ x', ['word:a$$', 'word:x']],
    ['$1', ['parameter:$1']],
    ['$12$x', ['parameter:$12', '$', 'word:x']],
    ['$1and', ['parameter:$1', 'word:and']],
    ['$a', ['$', 'word:a']],
    ['$a b$', ['$', 'word:a', 'word:b$']],
    ['$', ['$']],
    ['$ 1', ['$', 'number:1']],
  ])
})

test('comments separate tokens and nest', () => {
  assertTokens([
    ['a--b\nc', ['word:a', 'word:c']],
    ['a--b\rc', ['word:a', 'word:c']],
    ['a--', ['word:a']],
    ['--', []],
    ['a/*b*/c', ['word:a', 'word:c']],
    ['a/**/c', ['word:a', 'word:c']],
    ['a/*/*/c*/*/d', ['word:a', 'word:d']],
    ['/* /* -- */ */ x', ['word:x']],
    ["/* ' */ x", ['word:x']],
    ["-- '\nx", ['word:x']],
    ['-- /*\nx', ['word:x']],
    ['a-b', ['word:a', '-', 'word:b']],
    ['a- -b', ['word:a', '-', '-', 'word:b']],
    ['a/b', ['word:a', '/', 'word:b']],
    ['a*/b', ['word:a', '*', '/', 'word:b']],
    ['a<--b\n1', ['word:a', '<', 'number:1']],
    ['-', ['-']],
    ['/', ['/']],
  ])
})

test('every space of PostgreSQL separates: blank, tab, newline, vertical tab, form feed, return', () => {
  assert.deepEqual(
    tokens('a\tb\nc\vd\fe\rf g'),
    [...'abcdefg'].map((letter) => `word:${letter}`),
  )
})

test('a no-break space is part of a word, as it is for PostgreSQL', () => {
  assert.deepEqual(tokens('a\u00a0b'), ['word:a\u00a0b'])
})

test('words may hold letters of any script, digits, underscores and dollar signs', () => {
  assertTokens([
    ['_a1$', ['word:_a1$']],
    ['größe', ['word:größe']],
    ['таблица x', ['word:таблица', 'word:x']],
    ['a.b', ['word:a', '.', 'word:b']],
    ['a . b', ['word:a', '.', 'word:b']],
  ])
})

test('numbers are one token each, signs and what follows them are not', () => {
  assertTokens([
    ['1', ['number:1']],
    ['1.5 .5 5.', ['number:1.5', '.', 'number:5', 'number:5.']],
    ['1e5 1E5 1.5e5', ['number:1e5', 'number:1E5', 'number:1.5e5']],
    ['0x1F 0o17 0b11 1_000', ['number:0x1F', 'number:0o17', 'number:0b11', 'number:1_000']],
    ['-1', ['-', 'number:1']],
    ['1-1', ['number:1', '-', 'number:1']],
    ['1,2', ['number:1', ',', 'number:2']],
    ['1::int', ['number:1', ':', ':', 'word:int']],
    ['1;2', ['number:1', ';', 'number:2']],
    ['1$$;$$', ['number:1', 'string:$$;$$']],
  ])
})

test('a word glued to a number, which old servers take for two tokens, makes the text ambiguous', () => {
  for (const sql of ['where a=1and f(2)', 'select 1or f(2)', 'limit 1union select f(2)', 'select 1.5from f(2)']) {
    assert.equal(tokens(sql).at(-1), '!', sql)
  }
})

test('operators are single bytes', () => {
  assertTokens([
    ['a<=b', ['word:a', '<', '=', 'word:b']],
    ['a@>b', ['word:a', '@', '>', 'word:b']],
    ['a||b', ['word:a', '|', '|', 'word:b']],
    ['f(a[1])', ['word:f', '(', 'word:a', '[', 'number:1', ']', ')']],
  ])
})

test('what never ends takes the rest of the text and makes it ambiguous', () => {
  assertTokens([
    ["'a; x", ["string:'a; x", '!']],
    ["'", ["string:'", '!']],
    ["E'a\\", ["string:E'a\\", '!']],
    ["E'a\\'", ["string:E'a\\'", '!']],
    ["U&'a", ["string:U&'a", '!']],
    ['"a; x', ['quotedName:"a; x', '!']],
    ['"a""', ['quotedName:"a""', '!']],
    ['$$a; x$', ['string:$$a; x$', '!']],
    ['$a$ x $b$', ['string:$a$ x $b$', '!']],
    ['a /* b', ['word:a', '!']],
    ['a /* /* */ b', ['word:a', '!']],
    ['/*/', ['!']],
    ['/*', ['!']],
  ])
})

test('ambiguity of one text is forgotten when the next is opened', () => {
  const lexer = new Lexer()
  lexer.open(Buffer.from("'"), 0, 1)
  lexer.next()
  assert.equal(lexer.ambiguous, true)
  lexer.open(Buffer.from('a'), 0, 1)
  assert.equal(lexer.ambiguous, false)
})

test('a NUL byte ends the text, wherever a token could begin', () => {
  assertTokens([
    ['a\0b', ['word:a']],
    ['a \0 b', ['word:a']],
    ['1\0', ['number:1']],
    ['\0', []],
  ])
})

test('after the end every token is the end', () => {
  const lexer = new Lexer()
  lexer.open(Buffer.from('a '), 0, 2)
  lexer.next()
  for (let turn = 0; turn < 3; turn++) {
    assert.equal(lexer.next(), TOKEN.end)
    assert.equal(lexer.kind, TOKEN.end)
    assert.deepEqual([lexer.start, lexer.stop], [2, 2])
  }
})

test('the hash of a word is the same in any case, and ASCII letters only are folded', () => {
  const hash = (sql: string): number => {
    const bytes = Buffer.from(sql)
    const lexer = new Lexer()
    lexer.open(bytes, 0, bytes.length)
    lexer.next()
    return lexer.hash
  }
  assert.equal(hash('Set_Config('), wordHash('set_config'))
  assert.equal(hash('SET_CONFIG'), wordHash('set_config'))
  assert.notEqual(hash('setconfig'), wordHash('set_config'))
  assert.notEqual(hash('Ä'), hash('ä'))
})

test('the byte that follows, as an opening parenthesis, is seen past spaces and comments, and the token stays', () => {
  const follows = (sql: string): boolean => {
    const bytes = Buffer.from(sql)
    const lexer = new Lexer()
    lexer.open(bytes, 0, bytes.length)
    lexer.next()
    const { start, stop, kind, hash } = lexer
    const answer = lexer.follows(0x28)
    assert.deepEqual([lexer.start, lexer.stop, lexer.kind, lexer.hash], [start, stop, kind, hash])
    return answer
  }
  for (const sql of ['f(', 'f (', 'f\n\t(', 'f/* ( */(', 'f -- )\n (', 'f/*/**/*/(', '"f"('])
    assert.equal(follows(sql), true, sql)
  for (const sql of ['f', 'f)', 'f a(', 'f.a(', 'f -- (', 'f /* (', 'f[(']) assert.equal(follows(sql), false, sql)
})
