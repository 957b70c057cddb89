import { NativeBuffer } from './native.ts'
import { clearErrors, openssl, takeErrors } from './openssl.ts'

export const TAG_BYTES = 16
const NONCE_BYTES = 12
const EVP_CTRL_AEAD_GET_TAG = 0x10
const EVP_CTRL_AEAD_SET_TAG = 0x11

const CIPHERS = {
  'aes-128-gcm': openssl.EVP_aes_128_gcm,
  'aes-256-gcm': openssl.EVP_aes_256_gcm,
  'chacha20-poly1305': openssl.EVP_chacha20_poly1305,
} as const
export type AeadName = keyof typeof CIPHERS

/** What C functions write their counts to. */
const count = NativeBuffer.allocate(8)

/**
 * One direction of an AEAD (https://www.rfc-editor.org/rfc/rfc5116) under one key, by OpenSSL. The caller writes `nonce`
 * and `extra` and never uses a nonce twice for sealing. Whoever makes one calls `free`.
 */
export class AeadCipher {
  /** 12 bytes, for the next call. */
  readonly nonce: NativeBuffer
  /** Authenticated, not encrypted. */
  readonly extra: NativeBuffer
  readonly #seals: boolean
  #context: number

  /** `nonce` and `extra` may be shared by ciphers that are used one after the other. */
  constructor(name: AeadName, key: Buffer, seals: boolean, nonce: NativeBuffer, extra: NativeBuffer) {
    if (nonce.size !== NONCE_BYTES) throw new RangeError(`a nonce of ${nonce.size} bytes`)
    this.nonce = nonce
    this.extra = extra
    this.#seals = seals
    const own = NativeBuffer.allocate(key.length)
    own.bytes.set(key)
    clearErrors()
    this.#context = openssl.EVP_CIPHER_CTX_new()
    const started = openssl.EVP_CipherInit_ex(this.#context, CIPHERS[name](), 0, own.address, 0, seals ? 1 : 0)
    own.bytes.fill(0)
    if (started !== 1) {
      this.free()
      throw new Error(`EVP_CipherInit_ex: ${takeErrors().join('; ')}`)
    }
  }

  /**
   * Seals `source[start, end)` and, behind it, `last[0, lastBytes)` into `target` at `at`: as many bytes and a tag of 16.
   * `extraBytes` of `extra` count.
   */
  seal(
    source: NativeBuffer,
    start: number,
    end: number,
    last: NativeBuffer,
    lastBytes: number,
    extraBytes: number,
    target: NativeBuffer,
    at: number,
  ): void {
    this.#begin(extraBytes)
    const out = target.address + at
    this.#update(out, source.address + start, end - start)
    if (lastBytes > 0) this.#update(out + end - start, last.address, lastBytes)
    const tag = out + end - start + lastBytes
    const context = this.#context
    if (
      openssl.EVP_CipherFinal_ex(context, tag, count.address) !== 1 ||
      openssl.EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) !== 1
    )
      throw new Error(`AEAD: ${takeErrors().join('; ')}`)
  }

  /** Opens `source[start, end)`, the tag included, into `target` at `at`. False: it is not what was sealed, nothing of it may be used. */
  open(
    source: NativeBuffer,
    start: number,
    end: number,
    extraBytes: number,
    target: NativeBuffer,
    at: number,
  ): boolean {
    const context = this.#context
    const bytes = end - start - TAG_BYTES
    if (bytes < 0) return false
    this.#begin(extraBytes)
    this.#update(target.address + at, source.address + start, bytes)
    openssl.EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, source.address + end - TAG_BYTES)
    const isGenuine = openssl.EVP_CipherFinal_ex(context, count.address, count.address) === 1
    if (!isGenuine) clearErrors()
    return isGenuine
  }

  /** A second call does nothing. */
  free(): void {
    if (this.#context === 0) return
    openssl.EVP_CIPHER_CTX_free(this.#context)
    this.#context = 0
  }

  #begin(extraBytes: number): void {
    if (this.#context === 0) throw new Error('This cipher was freed.')
    const started = openssl.EVP_CipherInit_ex(this.#context, 0, 0, 0, this.nonce.address, this.#seals ? 1 : 0)
    if (started !== 1) throw new Error(`AEAD: ${takeErrors().join('; ')}`)
    if (extraBytes > 0) this.#update(0, this.extra.address, extraBytes)
  }

  #update(out: number, from: number, bytes: number): void {
    if (bytes === 0) return
    if (openssl.EVP_CipherUpdate(this.#context, out, count.address, from, bytes) === 1) return
    throw new Error(`AEAD: ${takeErrors().join('; ')}`)
  }
}
