import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ScramLogin } from './scram-login.ts'

// The example of RFC 7677, section 3.
const serverNonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
const serverFirst = `r=${serverNonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`

function example(): ScramLogin {
  return new ScramLogin('pencil', new Map(), 'user', 'rOprNGfwEbeRWgbNEkqO')
}

test('the exchange of RFC 7677 comes out as printed there', () => {
  const login = example()
  assert.equal(login.clientFirst, 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO')
  assert.equal(login.clientFinal(serverFirst), `c=biws,r=${serverNonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`)
  login.verify('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')
})

test('a server that does not know the password is found out', () => {
  const login = example()
  login.clientFinal(serverFirst)
  assert.throws(() => login.verify('v=AAAA'), /proof is wrong/)
})

test("somebody else's nonce and garbage are refused", () => {
  assert.throws(() => example().clientFinal('r=other,s=AAAA,i=4096'), /nonce/)
  assert.throws(() => example().clientFinal('e=unknown-user'), /not a SCRAM server-first-message/)
})

test('the salted password is computed once for each salt', () => {
  const known = new Map<string, Buffer>()
  new ScramLogin('pencil', known, 'user', 'rOprNGfwEbeRWgbNEkqO').clientFinal(serverFirst)
  const [salted] = known.values()
  new ScramLogin('pencil', known, 'user', 'rOprNGfwEbeRWgbNEkqO').clientFinal(serverFirst)
  assert.equal(known.size, 1)
  assert.equal([...known.values()][0], salted)
})
