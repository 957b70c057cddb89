import assert from 'node:assert/strict'
import { createCipheriv, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { AeadCipher, type AeadName, TAG_BYTES } from './aead-cipher.ts'
import { NativeBuffer } from './native.ts'
import { KEY_BYTES } from './tls-key-schedule.ts'

const names = Object.keys(KEY_BYTES) as AeadName[]

function native(bytes: Buffer): NativeBuffer {
  const buffer = NativeBuffer.allocate(bytes.length)
  buffer.bytes.set(bytes)
  return buffer
}

for (const name of names) {
  const key = randomBytes(KEY_BYTES[name])
  const nonce = native(randomBytes(12))
  const extra = native(Buffer.from('header'))
  const text = native(Buffer.from('from the middle of a text'))
  const last = native(Buffer.from([23]))

  /** As node:crypto seals it. */
  const expected = (plain: Buffer): Buffer => {
    const cipher = createCipheriv(name as 'aes-128-gcm', key, nonce.bytes, { authTagLength: TAG_BYTES })
    cipher.setAAD(extra.bytes)
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }

  test(`${name}: seals in two parts what node:crypto seals in one, and opens it again`, () => {
    const sealing = new AeadCipher(name, key, true, nonce, extra)
    const opening = new AeadCipher(name, key, false, nonce, extra)
    const target = NativeBuffer.allocate(64)
    for (const [start, end] of [
      [5, 15],
      [0, text.size],
      [3, 3],
    ] as const) {
      const bytes = end - start + 1
      sealing.seal(text, start, end, last, 1, extra.size, target, 4)
      const plain = Buffer.concat([text.bytes.subarray(start, end), last.bytes])
      assert.deepEqual(target.bytes.subarray(4, 4 + bytes + TAG_BYTES), expected(plain))
      const opened = NativeBuffer.allocate(64)
      assert.equal(opening.open(target, 4, 4 + bytes + TAG_BYTES, extra.size, opened, 2), true)
      assert.deepEqual(opened.bytes.subarray(2, 2 + bytes), plain)
    }
    sealing.free()
    opening.free()
  })

  test(`${name}: does not open what was changed, and opens the next one all the same`, () => {
    const opening = new AeadCipher(name, key, false, nonce, extra)
    const sealed = expected(Buffer.from('genuine'))
    const opened = NativeBuffer.allocate(64)
    for (let at = 0; at < sealed.length; at++) {
      const changed = native(sealed)
      changed.bytes[at] = (changed.bytes[at] ?? 0) ^ 1
      assert.equal(opening.open(changed, 0, sealed.length, extra.size, opened, 0), false, `byte ${at}`)
    }
    assert.equal(opening.open(native(sealed), 0, TAG_BYTES - 1, extra.size, opened, 0), false)
    assert.equal(opening.open(native(sealed), 0, sealed.length, extra.size - 1, opened, 0), false)
    assert.equal(opening.open(native(sealed), 0, sealed.length, extra.size, opened, 0), true)
    assert.equal(opened.bytes.toString('latin1', 0, 7), 'genuine')
    opening.free()
  })
}

test('a cipher that was freed seals nothing', () => {
  const nonce = NativeBuffer.allocate(12)
  const cipher = new AeadCipher('aes-128-gcm', Buffer.alloc(16), true, nonce, nonce)
  cipher.free()
  cipher.free()
  assert.throws(() => cipher.seal(nonce, 0, 1, nonce, 0, 0, NativeBuffer.allocate(64), 0), /was freed/)
})
