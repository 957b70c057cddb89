import { createHash } from 'node:crypto'

/** The hash in a signature algorithm, by the DER content of its object identifier in hex. */
const hashBySignature: Readonly<Record<string, string>> = {
  // MD5 and SHA-1 are replaced by SHA-256: RFC 5929 §4.1.
  '2a864886f70d010104': 'sha256', // md5WithRSAEncryption
  '2a864886f70d010105': 'sha256', // sha1WithRSAEncryption
  '2a8648ce3d0401': 'sha256', // ecdsa-with-SHA1
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a864886f70d01010e': 'sha224',
  '2a8648ce3d040301': 'sha224',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
}

const rsaPss = '2a864886f70d01010a'

/** Hash functions, as RSA-PSS names them in its parameters. */
const hashByDigest: Readonly<Record<string, string>> = {
  '2b0e03021a': 'sha256', // SHA-1
  '608648016503040201': 'sha256',
  '608648016503040202': 'sha384',
  '608648016503040203': 'sha512',
  '608648016503040204': 'sha224',
}

/**
 * The channel binding `tls-server-end-point` of a server certificate (DER): its hash with the hash function of its own
 * signature, and SHA-256 in place of MD5 and SHA-1. Null where there is none (Ed25519, bytes that are no certificate):
 * SCRAM-SHA-256-PLUS can then not be used. Compute it once per certificate, not per login.
 * https://www.rfc-editor.org/rfc/rfc5929#section-4.1
 */
export function tlsServerEndPoint(certificate: Buffer): Buffer | null {
  const hash = signatureHash(certificate)
  return hash === null ? null : createHash(hash).update(certificate).digest()
}

function signatureHash(certificate: Buffer): string | null {
  // Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { algorithm OID, parameters }, signature }
  const outer = readElement(certificate, 0x30)
  const tbs = outer && readElement(outer.content, 0x30)
  const algorithm = tbs && readElement(tbs.rest, 0x30)
  const identifier = algorithm && readElement(algorithm.content, 0x06)
  if (!identifier) return null
  const name = identifier.content.toString('hex')
  return name === rsaPss ? pssHash(identifier.rest) : (hashBySignature[name] ?? null)
}

/** RSASSA-PSS-params ::= SEQUENCE { hashAlgorithm [0] SEQUENCE { OID, … } DEFAULT sha1, … } */
function pssHash(parameters: Buffer): string | null {
  const sequence = readElement(parameters, 0x30)
  if (!sequence) return null
  const tagged = readElement(sequence.content, 0xa0)
  if (!tagged) return 'sha256'
  const algorithm = readElement(tagged.content, 0x30)
  const identifier = algorithm && readElement(algorithm.content, 0x06)
  return (identifier && hashByDigest[identifier.content.toString('hex')]) ?? null
}

interface DerElement {
  readonly content: Buffer
  readonly rest: Buffer
}

/** The element at the start of `der` if it has this tag and is whole, else null. */
function readElement(der: Buffer, tag: number): DerElement | null {
  const [actual, short] = der
  if (actual !== tag || short === undefined) return null
  const lengthBytes = short < 0x80 ? 0 : short & 0x7f
  if (lengthBytes > 4 || der.length < 2 + lengthBytes) return null
  const length = lengthBytes === 0 ? short : der.readUIntBE(2, lengthBytes)
  const start = 2 + lengthBytes
  if (short === 0x80 || der.length < start + length) return null
  return { content: der.subarray(start, start + length), rest: der.subarray(start + length) }
}
