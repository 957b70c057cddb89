import koffi from 'koffi'
import { NativeBuffer } from './native.ts'

/**
 * The functions of the OpenSSL that is inside the node binary. A second libssl must never be loaded beside it: mixing
 * the two breaks handshakes. Pointers cross as plain numbers (user-space addresses fit in 53 bits), 0 is NULL.
 * What C calls a function is often a macro over `SSL_ctrl`, `SSL_CTX_ctrl` or `BIO_ctrl`; those are the ones exported.
 * Reference: https://docs.openssl.org/3.5/man3/
 */
const library = koffi.load(null)

type Pointer = number

/** The C function of that prototype. `F` is what the prototype says, with numbers for pointers and integers. */
function bind<F>(prototype: string): F {
  try {
    return library.func(prototype) as unknown as F
  } catch (cause) {
    throw new Error(
      `TLS needs a node binary that exports the functions of OpenSSL 3, and this one lacks "${prototype}". ` +
        'Use an official build of Node 24 or later.',
      { cause },
    )
  }
}

type Ask = (object: Pointer) => number
type AskPointer = (object: Pointer) => Pointer
type Drop = (object: Pointer) => void
type Make = () => Pointer
type Pair = (object: Pointer, other: Pointer) => number
type Move = (object: Pointer, at: Pointer, bytes: number) => number
type Control = (object: Pointer, command: number, value: number, pointer: Pointer) => number
type ReadPem = (bio: Pointer, out: Pointer, callback: Pointer, passphrase: Pointer) => Pointer

export const openssl = {
  // Contexts
  TLS_server_method: bind<Make>('uintptr_t TLS_server_method()'),
  TLS_client_method: bind<Make>('uintptr_t TLS_client_method()'),
  SSL_CTX_new: bind<AskPointer>('uintptr_t SSL_CTX_new(uintptr_t)'),
  SSL_CTX_free: bind<Drop>('void SSL_CTX_free(uintptr_t)'),
  SSL_CTX_ctrl: bind<Control>('long SSL_CTX_ctrl(uintptr_t, int, long, uintptr_t)'),
  SSL_CTX_set_options: bind<Pair>('uint64_t SSL_CTX_set_options(uintptr_t, uint64_t)'),
  SSL_CTX_set_num_tickets: bind<Pair>('int SSL_CTX_set_num_tickets(uintptr_t, size_t)'),
  SSL_CTX_set_cipher_list: bind<(context: Pointer, list: string) => number>(
    'int SSL_CTX_set_cipher_list(uintptr_t, const char *)',
  ),
  SSL_CTX_set_ciphersuites: bind<(context: Pointer, list: string) => number>(
    'int SSL_CTX_set_ciphersuites(uintptr_t, const char *)',
  ),
  SSL_CTX_set_verify: bind<(context: Pointer, mode: number, callback: Pointer) => void>(
    'void SSL_CTX_set_verify(uintptr_t, int, uintptr_t)',
  ),
  SSL_CTX_use_certificate: bind<Pair>('int SSL_CTX_use_certificate(uintptr_t, uintptr_t)'),
  SSL_CTX_use_PrivateKey: bind<Pair>('int SSL_CTX_use_PrivateKey(uintptr_t, uintptr_t)'),
  SSL_CTX_get_cert_store: bind<AskPointer>('uintptr_t SSL_CTX_get_cert_store(uintptr_t)'),
  SSL_CTX_set_default_verify_paths: bind<Ask>('int SSL_CTX_set_default_verify_paths(uintptr_t)'),
  SSL_CTX_add_client_CA: bind<Pair>('int SSL_CTX_add_client_CA(uintptr_t, uintptr_t)'),
  SSL_CTX_set_alpn_select_cb: bind<(context: Pointer, callback: Pointer, argument: Pointer) => void>(
    'void SSL_CTX_set_alpn_select_cb(uintptr_t, uintptr_t, uintptr_t)',
  ),
  SSL_select_next_proto: bind<
    (out: Pointer, outBytes: Pointer, ours: Pointer, ourBytes: number, theirs: Pointer, theirBytes: number) => number
  >('int SSL_select_next_proto(uintptr_t, uintptr_t, uintptr_t, uint, uintptr_t, uint)'),

  // Connections
  SSL_new: bind<AskPointer>('uintptr_t SSL_new(uintptr_t)'),
  SSL_free: bind<Drop>('void SSL_free(uintptr_t)'),
  SSL_ctrl: bind<Control>('long SSL_ctrl(uintptr_t, int, long, uintptr_t)'),
  SSL_set_bio: bind<(ssl: Pointer, read: Pointer, write: Pointer) => void>(
    'void SSL_set_bio(uintptr_t, uintptr_t, uintptr_t)',
  ),
  SSL_set_accept_state: bind<Drop>('void SSL_set_accept_state(uintptr_t)'),
  SSL_set_connect_state: bind<Drop>('void SSL_set_connect_state(uintptr_t)'),
  SSL_set_alpn_protos: bind<Move>('int SSL_set_alpn_protos(uintptr_t, uintptr_t, uint)'),
  SSL_do_handshake: bind<Ask>('int SSL_do_handshake(uintptr_t)'),
  SSL_get_error: bind<Pair>('int SSL_get_error(uintptr_t, int)'),
  SSL_read: bind<Move>('int SSL_read(uintptr_t, uintptr_t, int)'),
  SSL_write: bind<Move>('int SSL_write(uintptr_t, uintptr_t, int)'),
  SSL_shutdown: bind<Ask>('int SSL_shutdown(uintptr_t)'),
  SSL_get_shutdown: bind<Ask>('int SSL_get_shutdown(uintptr_t)'),
  SSL_get_version: bind<(ssl: Pointer) => string>('const char *SSL_get_version(uintptr_t)'),
  SSL_get_current_cipher: bind<AskPointer>('uintptr_t SSL_get_current_cipher(uintptr_t)'),
  SSL_CIPHER_get_name: bind<(cipher: Pointer) => string>('const char *SSL_CIPHER_get_name(uintptr_t)'),
  SSL_get_verify_result: bind<Ask>('long SSL_get_verify_result(uintptr_t)'),
  SSL_get1_peer_certificate: bind<AskPointer>('uintptr_t SSL_get1_peer_certificate(uintptr_t)'),
  SSL_get_peer_cert_chain: bind<AskPointer>('uintptr_t SSL_get_peer_cert_chain(uintptr_t)'),
  SSL_get0_alpn_selected: bind<(ssl: Pointer, out: Pointer, outBytes: Pointer) => void>(
    'void SSL_get0_alpn_selected(uintptr_t, uintptr_t, uintptr_t)',
  ),
  SSL_CTX_set_keylog_callback: bind<(context: Pointer, callback: Pointer) => void>(
    'void SSL_CTX_set_keylog_callback(uintptr_t, uintptr_t)',
  ),
  SSL_key_update: bind<Pair>('int SSL_key_update(uintptr_t, int)'),
  SSL_version: bind<Ask>('int SSL_version(uintptr_t)'),
  SSL_CIPHER_get_protocol_id: bind<Ask>('uint16_t SSL_CIPHER_get_protocol_id(uintptr_t)'),
  SSL_get_client_random: bind<Move>('size_t SSL_get_client_random(uintptr_t, uintptr_t, size_t)'),
  SSL_get_server_random: bind<Move>('size_t SSL_get_server_random(uintptr_t, uintptr_t, size_t)'),
  SSL_get0_param: bind<AskPointer>('uintptr_t SSL_get0_param(uintptr_t)'),
  X509_VERIFY_PARAM_set1_host: bind<(param: Pointer, name: string, bytes: number) => number>(
    'int X509_VERIFY_PARAM_set1_host(uintptr_t, const char *, size_t)',
  ),
  X509_VERIFY_PARAM_set1_ip_asc: bind<(param: Pointer, address: string) => number>(
    'int X509_VERIFY_PARAM_set1_ip_asc(uintptr_t, const char *)',
  ),
  X509_VERIFY_PARAM_set_hostflags: bind<(param: Pointer, flags: number) => void>(
    'void X509_VERIFY_PARAM_set_hostflags(uintptr_t, uint)',
  ),

  // Memory BIOs
  BIO_s_mem: bind<Make>('uintptr_t BIO_s_mem()'),
  BIO_new: bind<AskPointer>('uintptr_t BIO_new(uintptr_t)'),
  BIO_new_mem_buf: bind<(at: Pointer, bytes: number) => Pointer>('uintptr_t BIO_new_mem_buf(uintptr_t, int)'),
  BIO_up_ref: bind<Ask>('int BIO_up_ref(uintptr_t)'),
  BIO_free: bind<Ask>('int BIO_free(uintptr_t)'),
  BIO_write: bind<Move>('int BIO_write(uintptr_t, uintptr_t, int)'),
  BIO_read: bind<Move>('int BIO_read(uintptr_t, uintptr_t, int)'),
  BIO_ctrl: bind<Control>('long BIO_ctrl(uintptr_t, int, long, uintptr_t)'),
  BIO_ctrl_pending: bind<Ask>('size_t BIO_ctrl_pending(uintptr_t)'),

  // Certificates and keys
  PEM_read_bio_X509: bind<ReadPem>('uintptr_t PEM_read_bio_X509(uintptr_t, uintptr_t, uintptr_t, uintptr_t)'),
  PEM_read_bio_PrivateKey: bind<ReadPem>(
    'uintptr_t PEM_read_bio_PrivateKey(uintptr_t, uintptr_t, uintptr_t, uintptr_t)',
  ),
  X509_check_private_key: bind<Pair>('int X509_check_private_key(uintptr_t, uintptr_t)'),
  X509_free: bind<Drop>('void X509_free(uintptr_t)'),
  EVP_PKEY_free: bind<Drop>('void EVP_PKEY_free(uintptr_t)'),
  X509_STORE_add_cert: bind<Pair>('int X509_STORE_add_cert(uintptr_t, uintptr_t)'),
  X509_get_subject_name: bind<AskPointer>('uintptr_t X509_get_subject_name(uintptr_t)'),
  X509_NAME_print_ex: bind<(bio: Pointer, name: Pointer, indent: number, flags: number) => number>(
    'int X509_NAME_print_ex(uintptr_t, uintptr_t, int, ulong)',
  ),
  X509_NAME_get_index_by_NID: bind<(name: Pointer, nid: number, after: number) => number>(
    'int X509_NAME_get_index_by_NID(uintptr_t, int, int)',
  ),
  X509_NAME_get_entry: bind<(name: Pointer, index: number) => Pointer>('uintptr_t X509_NAME_get_entry(uintptr_t, int)'),
  X509_NAME_ENTRY_get_data: bind<AskPointer>('uintptr_t X509_NAME_ENTRY_get_data(uintptr_t)'),
  ASN1_STRING_to_UTF8: bind<Pair>('int ASN1_STRING_to_UTF8(uintptr_t, uintptr_t)'),
  CRYPTO_free: bind<(at: Pointer, file: Pointer, line: number) => void>('void CRYPTO_free(uintptr_t, uintptr_t, int)'),
  X509_get_signature_info: bind<
    (certificate: Pointer, digest: Pointer, key: Pointer, bits: Pointer, flags: Pointer) => number
  >('int X509_get_signature_info(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t)'),
  OBJ_nid2sn: bind<(nid: number) => string | null>('const char *OBJ_nid2sn(int)'),
  EVP_get_digestbyname: bind<(name: string) => Pointer>('uintptr_t EVP_get_digestbyname(const char *)'),
  X509_digest: bind<(certificate: Pointer, digest: Pointer, out: Pointer, outBytes: Pointer) => number>(
    'int X509_digest(uintptr_t, uintptr_t, uintptr_t, uintptr_t)',
  ),
  i2d_X509: bind<Pair>('int i2d_X509(uintptr_t, uintptr_t)'),
  OPENSSL_sk_num: bind<Ask>('int OPENSSL_sk_num(uintptr_t)'),
  OPENSSL_sk_value: bind<(stack: Pointer, index: number) => Pointer>('uintptr_t OPENSSL_sk_value(uintptr_t, int)'),

  // Authenticated encryption
  EVP_aes_128_gcm: bind<Make>('uintptr_t EVP_aes_128_gcm()'),
  EVP_aes_256_gcm: bind<Make>('uintptr_t EVP_aes_256_gcm()'),
  EVP_chacha20_poly1305: bind<Make>('uintptr_t EVP_chacha20_poly1305()'),
  EVP_CIPHER_CTX_new: bind<Make>('uintptr_t EVP_CIPHER_CTX_new()'),
  EVP_CIPHER_CTX_free: bind<Drop>('void EVP_CIPHER_CTX_free(uintptr_t)'),
  EVP_CIPHER_CTX_ctrl: bind<(context: Pointer, command: number, bytes: number, at: Pointer) => number>(
    'int EVP_CIPHER_CTX_ctrl(uintptr_t, int, int, uintptr_t)',
  ),
  EVP_CipherInit_ex: bind<
    (context: Pointer, cipher: Pointer, engine: Pointer, key: Pointer, iv: Pointer, encrypts: number) => number
  >('int EVP_CipherInit_ex(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, int)'),
  EVP_CipherUpdate: bind<(context: Pointer, out: Pointer, outBytes: Pointer, at: Pointer, bytes: number) => number>(
    'int EVP_CipherUpdate(uintptr_t, uintptr_t, uintptr_t, uintptr_t, int)',
  ),
  EVP_CipherFinal_ex: bind<(context: Pointer, out: Pointer, outBytes: Pointer) => number>(
    'int EVP_CipherFinal_ex(uintptr_t, uintptr_t, uintptr_t)',
  ),

  // Errors
  ERR_peek_error: bind<() => number>('ulong ERR_peek_error()'),
  ERR_get_error: bind<() => number>('ulong ERR_get_error()'),
  ERR_clear_error: bind<() => void>('void ERR_clear_error()'),
  ERR_reason_error_string: bind<(code: number) => string | null>('const char *ERR_reason_error_string(ulong)'),
  X509_verify_cert_error_string: bind<(code: number) => string>('const char *X509_verify_cert_error_string(long)'),
}

const memcpy = bind<(to: Pointer, from: Pointer, bytes: number) => Pointer>(
  'uintptr_t memcpy(uintptr_t, uintptr_t, size_t)',
)

const strlen = bind<(at: Pointer) => number>('size_t strlen(uintptr_t)')

/** A copy of a C string, without the zero. */
export function copyString(at: number): Buffer {
  return copyMemory(at, strlen(at))
}

/** A copy of `bytes` bytes of C memory. */
export function copyMemory(at: number, bytes: number): Buffer {
  const copy = NativeBuffer.allocate(bytes)
  if (bytes > 0) memcpy(copy.address, at, bytes)
  return copy.bytes
}

/**
 * Empties this thread's error queue. To be called before every `SSL_*` call whose failure is examined: what another
 * user of OpenSSL (`node:crypto`, another connection) left there would be taken for this call's error. Peeking first
 * costs a third of clearing an empty queue.
 */
export function clearErrors(): void {
  if (openssl.ERR_peek_error() !== 0) openssl.ERR_clear_error()
}

/** Takes everything out of this thread's error queue and says it in OpenSSL's words, oldest first. */
export function takeErrors(): string[] {
  const reasons: string[] = []
  for (let code = openssl.ERR_get_error(); code !== 0; code = openssl.ERR_get_error()) {
    reasons.push(openssl.ERR_reason_error_string(code) ?? `error 0x${code.toString(16)}`)
  }
  return reasons
}
