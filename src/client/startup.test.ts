import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { interpretStartup, type StartupRequest, type StartupVerdict } from './startup.ts'

function interpret(parameters: Readonly<Record<string, string>>, minor = 0): StartupVerdict {
  return interpretStartup({ kind: 'startup', major: 3, minor, parameters: new Map(Object.entries(parameters)) })
}

function request(parameters: Readonly<Record<string, string>>, minor = 0): StartupRequest {
  const verdict = interpret({ user: 'ada', ...parameters }, minor)
  assert.ok(verdict.kind === 'request', JSON.stringify(verdict))
  return verdict.request
}

function refusal(parameters: Readonly<Record<string, string>>): { sqlstate: string; message: string } {
  const verdict = interpret({ user: 'ada', ...parameters })
  assert.ok(verdict.kind === 'refused')
  return { sqlstate: verdict.sqlstate, message: verdict.message }
}

const settings = (parameters: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(request(parameters).settings)

test('a client that names nobody is refused in the words of PostgreSQL', () => {
  const expected = { sqlstate: '28000', message: 'no PostgreSQL user name specified in startup packet' }
  assert.deepEqual(refusal({ user: '' }), expected)
  assert.deepEqual(interpret({ database: 'shop' }), { kind: 'refused', ...expected })
})

test('without a database, or with an empty one, it is the one named like the user', () => {
  assert.equal(request({}).database, 'ada')
  assert.equal(request({ database: '' }).database, 'ada')
  assert.equal(request({ database: 'shop' }).database, 'shop')
})

const names: readonly (readonly [string, string, string])[] = [
  ['63 bytes stay', 'x'.repeat(63), 'x'.repeat(63)],
  ['the 64th byte goes', 'x'.repeat(64), 'x'.repeat(63)],
  ['a character of two bytes is not cut in half', `${'x'.repeat(62)}é`, 'x'.repeat(62)],
  ['a character that ends at the 63rd byte stays', `${'x'.repeat(61)}éx`, `${'x'.repeat(61)}é`],
  ['a character of four bytes goes as a whole', `${'x'.repeat(60)}😀`, 'x'.repeat(60)],
  ['a character of four bytes that fits stays', `${'x'.repeat(59)}😀x`, `${'x'.repeat(59)}😀`],
]
for (const [title, given, expected] of names) {
  test(`long names: ${title}`, () => {
    assert.equal(request({ user: given }).user, expected)
    assert.equal(request({ database: given }).database, expected)
  })
}

test('a cut name is the longest beginning of whole characters within 63 bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 80 }), (name) => {
      const { user } = request({ user: name })
      assert.ok(name.startsWith(user))
      assert.ok(Buffer.byteLength(user) <= 63)
      const next = String.fromCodePoint(name.codePointAt(user.length) ?? 0)
      assert.ok(user === name || Buffer.byteLength(user + next) > 63)
    }),
  )
})

test('everything but the keywords is a setting, names in lower case', () => {
  assert.deepEqual(
    settings({
      database: 'shop',
      replication: 'false',
      application_name: 'Till 3',
      DateStyle: 'German',
      'app.tenant': '7',
      'a.b.c': 'd',
    }),
    { application_name: 'Till 3', datestyle: 'German', 'app.tenant': '7', 'a.b.c': 'd' },
  )
})

test('settings in the options come on top of those in the packet', () => {
  assert.deepEqual(settings({ options: '-c Work_Mem=1MB --search-path=a', work_mem: '2MB', timezone: 'UTC' }), {
    work_mem: '1MB',
    search_path: 'a',
    timezone: 'UTC',
  })
})

test('options that are no settings are refused, because no server would see them', () => {
  assert.deepEqual(refusal({ options: '-B 100' }), {
    sqlstate: '0A000',
    message: 'the startup parameter "options" may hold only -c name=value and --name=value',
  })
})

test('settings of the router are not for clients, wherever and however they are written', () => {
  assert.deepEqual(
    settings({ 'switchyard.tier': 'high', 'SWITCHYARD.Tier': 'high', options: '-c SwitchYard.tier=high', a: 'b' }),
    { a: 'b' },
  )
})

for (const name of ['a b', 'a;b', 'a"b', "a'b", '1a', 'a.', '.a', 'a..b', 'a.1', 'a-b', 'é']) {
  test(`the setting name ${JSON.stringify(name)} is refused, for it becomes a part of our own SQL`, () => {
    assert.deepEqual(refusal({ [name]: 'x' }), {
      sqlstate: '42602',
      message: `invalid configuration parameter name "${name}"`,
    })
  })
}

for (const name of ['server_version', 'is_superuser', 'In_Hot_Standby']) {
  test(`${name} is refused in the words of PostgreSQL: nobody can set it`, () => {
    const message = `parameter "${name.toLowerCase()}" cannot be changed`
    assert.deepEqual(refusal({ [name]: 'x' }), { sqlstate: '55P02', message })
  })
}

const replication: readonly (readonly [string, string | null])[] = [
  ...['false', 'off', 'no', '0', 'FALSE', 'f', 'fa', 'n', 'of'].map((one) => [one, null] as const),
  ...['true', 'on', 'yes', '1', 'database', 'TRUE', 't', 'y'].map((one) => [one, one] as const),
]
for (const [given, expected] of replication) {
  test(`replication=${given} ${expected === null ? 'asks for no' : 'asks for'} replication`, () => {
    assert.equal(request({ replication: given }).replication, expected)
  })
}

for (const given of ['', 'o', '2', 'DATABASE', 'physical', 'truely']) {
  test(`replication=${JSON.stringify(given)} is refused in the words of PostgreSQL`, () => {
    assert.deepEqual(refusal({ replication: given }), {
      sqlstate: '22023',
      message: `invalid value for parameter "replication": "${given}"`,
    })
  })
}

const negotiations: readonly (readonly [string, number, Record<string, string>, number, boolean, string[]])[] = [
  ['3.0 is spoken as it is', 0, {}, 0, false, []],
  ['3.2 is spoken as it is', 2, {}, 2, false, []],
  ['a newer version becomes 3.2', 9999, {}, 2, true, []],
  ['an option we do not know is named, and 3.0 stays 3.0', 0, { '_pq_.x': '1' }, 0, true, ['_pq_.x']],
  ['every unknown option is named', 3, { '_pq_.x': '1', '_pq_.y': '' }, 2, true, ['_pq_.x', '_pq_.y']],
]
for (const [title, asked, parameters, minor, negotiate, unknownOptions] of negotiations) {
  test(`protocol version: ${title}`, () => {
    const seen = request(parameters, asked)
    assert.deepEqual([seen.minor, seen.negotiate, seen.unknownOptions], [minor, negotiate, unknownOptions])
    assert.deepEqual([...seen.settings], [])
  })
}

test('arbitrary parameters are a request or refused, never an exception', () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('options', 'replication', '-c a=b', '_pq_.'))
  fc.assert(
    fc.property(
      fc.dictionary(text, text, { maxKeys: 6, noNullPrototype: true }),
      fc.nat(0xffff),
      (parameters, minor) => {
        const verdict = interpret({ user: 'ada', ...parameters }, minor)
        if (verdict.kind === 'request') assert.ok(verdict.request.minor <= 2 && verdict.request.minor <= minor)
      },
    ),
  )
})
