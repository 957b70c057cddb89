import { createPrivateKey, X509Certificate } from 'node:crypto'
import { resolve } from 'node:path'
import { accepted, notAllowed, type ReadContext, type Reading, refused, type ValueType } from './value-type.ts'

/** A PEM file that the configuration names. */
export interface PemFile {
  /** Absolute. */
  readonly path: string
  readonly text: string
}

const pathSchema = { type: 'string', minLength: 1 }

/** A path, made absolute. It need not exist. */
export const path: ValueType<string> = {
  unit: '',
  allowed: 'a path (relative ones start at the configuration file)',
  secret: false,
  jsonSchema: pathSchema,
  read: (found, context) => (isPath(found) ? accepted(resolve(context.directory, found)) : notAllowed),
  show: (value) => value,
}

/** A file that holds a password alone; a newline at its end does not count. Read as its absolute path. */
export const passwordFile: ValueType<string> = {
  ...path,
  allowed: 'the path of a file that holds the password (relative ones start at the configuration file)',
  read: (found, context) => {
    if (!isPath(found)) return notAllowed
    const file = resolve(context.directory, found)
    const content = readReferenced(file, context)
    if (!content.ok) return content
    return passwordOf(content.value) === '' ? refused(`${file} is empty`) : accepted(file)
  },
}

/** The password in the text of a password file. */
export function passwordOf(content: string): string {
  return content.replace(/\r?\n$/, '')
}

/** A PEM file with one or more certificates. */
export const certificateFile: ValueType<PemFile> = pemFile('the path of a PEM file with certificates', (pem) => {
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g)
  if (certificates === null) return 'it holds no "-----BEGIN CERTIFICATE-----" block'
  for (const [index, certificate] of certificates.entries()) {
    try {
      new X509Certificate(certificate)
    } catch {
      return `its certificate ${index + 1} is damaged`
    }
  }
  return null
})

/** A PEM file with a private key without passphrase. */
export const privateKeyFile: ValueType<PemFile> = pemFile('the path of a PEM file with a private key', (pem) => {
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) return 'it holds no "-----BEGIN PRIVATE KEY-----" block'
  try {
    createPrivateKey(pem)
    return null
  } catch {
    return 'its private key is damaged, or has a passphrase (remove it with openssl pkey)'
  }
})

/** Whether `key` is the private key of the first certificate in `certificate`; both were read by the types above. */
export function keyFitsCertificate(certificate: PemFile, key: PemFile): boolean {
  return new X509Certificate(certificate.text).checkPrivateKey(createPrivateKey(key.text))
}

function pemFile(allowed: string, complaint: (pem: string) => string | null): ValueType<PemFile> {
  return {
    unit: '',
    allowed: `${allowed} (relative ones start at the configuration file)`,
    secret: false,
    jsonSchema: pathSchema,
    read: (found, context) => {
      if (!isPath(found)) return notAllowed
      const file = resolve(context.directory, found)
      const content = readReferenced(file, context)
      if (!content.ok) return content
      const wrong = complaint(content.value)
      return wrong === null
        ? accepted(Object.freeze({ path: file, text: content.value }))
        : refused(`${file} cannot be used: ${wrong}`)
    },
    show: (value) => value.path,
  }
}

function isPath(found: unknown): found is string {
  return typeof found === 'string' && found !== '' && !found.includes('\0')
}

function readReferenced(file: string, context: ReadContext): Reading<string> {
  try {
    return accepted(context.readFile(file))
  } catch (error) {
    return refused(`${file} cannot be read (${readFailure(error)})`)
  }
}

/** Why a file could not be read, in words. */
export function readFailure(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
  const words: Record<string, string> = {
    ENOENT: 'no such file',
    ENOTDIR: 'a part of its path is not a directory',
    EACCES: 'permission denied',
    EISDIR: 'it is a directory',
  }
  return words[code] ?? code
}
