import { AUTHENTICATION, BACKEND, FRONTEND } from './message-type.ts'
import type { MessageWriter } from './writer.ts'

/** The fields of an ErrorResponse or NoticeResponse that we write. */
export interface ErrorFields {
  readonly severity: 'ERROR' | 'FATAL' | 'WARNING' | 'NOTICE'
  readonly sqlstate: string
  readonly message: string
  readonly detail?: string | undefined
  readonly hint?: string | undefined
  /** Of a FATAL that was read: the function of the server that says so. Never written. */
  readonly routine?: string
}

/** https://www.postgresql.org/docs/current/protocol-error-fields.html */
export function writeError(writer: MessageWriter, fields: ErrorFields): void {
  const notice = fields.severity === 'WARNING' || fields.severity === 'NOTICE'
  writer.begin(notice ? BACKEND.noticeResponse : BACKEND.errorResponse)
  writer.byte(0x53).text(fields.severity).byte(0x56).text(fields.severity)
  writer.byte(0x43).text(fields.sqlstate).byte(0x4d).text(fields.message)
  if (fields.detail !== undefined) writer.byte(0x44).text(fields.detail)
  if (fields.hint !== undefined) writer.byte(0x48).text(fields.hint)
  writer.byte(0).end()
}

export function writeReady(writer: MessageWriter, status: number): void {
  writer.begin(BACKEND.readyForQuery).byte(status).end()
}

export function writeCommandComplete(writer: MessageWriter, tag: string): void {
  writer.begin(BACKEND.commandComplete).text(tag).end()
}

export function writeAuthenticationOk(writer: MessageWriter): void {
  writer.begin(BACKEND.authentication).int32(AUTHENTICATION.ok).end()
}

export function writeAuthenticationCleartext(writer: MessageWriter): void {
  writer.begin(BACKEND.authentication).int32(AUTHENTICATION.cleartext).end()
}

export function writeAuthenticationMd5(writer: MessageWriter, salt: Uint8Array): void {
  writer.begin(BACKEND.authentication).int32(AUTHENTICATION.md5).raw(salt).end()
}

export function writeAuthenticationSasl(writer: MessageWriter, mechanisms: readonly string[]): void {
  writer.begin(BACKEND.authentication).int32(AUTHENTICATION.sasl)
  for (const mechanism of mechanisms) writer.text(mechanism)
  writer.byte(0).end()
}

export function writeAuthenticationSaslContinue(writer: MessageWriter, data: Uint8Array): void {
  writer.begin(BACKEND.authentication).int32(AUTHENTICATION.saslContinue).raw(data).end()
}

export function writeAuthenticationSaslFinal(writer: MessageWriter, data: Uint8Array): void {
  writer.begin(BACKEND.authentication).int32(AUTHENTICATION.saslFinal).raw(data).end()
}

export function writeParameterStatus(writer: MessageWriter, name: string, value: string): void {
  writer.begin(BACKEND.parameterStatus).text(name).text(value).end()
}

export function writeBackendKeyData(writer: MessageWriter, processId: number, key: Uint8Array): void {
  writer.begin(BACKEND.backendKeyData).int32(processId).raw(key).end()
}

/** The minor version to speak from now on, and the `_pq_.` options we do not know. */
export function writeNegotiateProtocolVersion(writer: MessageWriter, minor: number, unknown: readonly string[]): void {
  // The whole version number since PostgreSQL 18; older texts of the manual say "minor".
  writer
    .begin(BACKEND.negotiateProtocolVersion)
    .int32((3 << 16) | minor)
    .int32(unknown.length)
  for (const name of unknown) writer.text(name)
  writer.end()
}

/** Answers without fields, shared. */
export const PARSE_COMPLETE: Uint8Array = Buffer.from([BACKEND.parseComplete, 0, 0, 0, 4])
export const CLOSE_COMPLETE: Uint8Array = Buffer.from([BACKEND.closeComplete, 0, 0, 0, 4])
export const SYNC: Uint8Array = Buffer.from([FRONTEND.sync, 0, 0, 0, 4])
export const FLUSH: Uint8Array = Buffer.from([FRONTEND.flush, 0, 0, 0, 4])
export const TERMINATE: Uint8Array = Buffer.from([FRONTEND.terminate, 0, 0, 0, 4])

export function writeQuery(writer: MessageWriter, sql: string): void {
  writer.begin(FRONTEND.query).text(sql).end()
}

/** A Parse whose text and parameter types are `tail`, copied from another Parse: everything after its name. */
/** A Parse without its `tailBytes` behind the name: text, NUL and parameter types. */
export function writeParseHead(writer: MessageWriter, name: string, tailBytes: number): void {
  writer
    .byte(FRONTEND.parse)
    .int32(4 + Buffer.byteLength(name) + 1 + tailBytes)
    .text(name)
}

export function writeParse(writer: MessageWriter, name: string, tail: Uint8Array): void {
  writer.begin(FRONTEND.parse).text(name).raw(tail).end()
}

export function writeCloseStatement(writer: MessageWriter, name: string): void {
  writer.begin(FRONTEND.close).byte(0x53).text(name).end()
}

export function writePassword(writer: MessageWriter, password: string): void {
  writer.begin(FRONTEND.password).text(password).end()
}

export function writeSaslInitial(writer: MessageWriter, mechanism: string, data: Uint8Array): void {
  writer.begin(FRONTEND.password).text(mechanism).int32(data.length).raw(data).end()
}

export function writeSaslResponse(writer: MessageWriter, data: Uint8Array): void {
  writer.begin(FRONTEND.password).raw(data).end()
}

/** `parameters` in order; protocol version 3.`minor`. */
export function writeStartup(
  writer: MessageWriter,
  minor: number,
  parameters: Iterable<readonly [string, string]>,
): void {
  writer.beginUntyped().int32((3 << 16) | minor)
  for (const [name, value] of parameters) writer.text(name).text(value)
  writer.byte(0).end()
}

export function writeSslRequest(writer: MessageWriter): void {
  writer.beginUntyped().int32(80877103).end()
}

export function writeCancelRequest(writer: MessageWriter, processId: number, key: Uint8Array): void {
  writer.beginUntyped().int32(80877102).int32(processId).raw(key).end()
}
