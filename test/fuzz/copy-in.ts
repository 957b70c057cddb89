import * as wire from '../support/wire-frames.ts'
import type { CopyIn } from './program.ts'
import { sqlOf } from './statement.ts'

/** The bytes of a COPY FROM STDIN by client number `client`: what asks for it, the data, and what ends it. */
export interface CopyBytes {
  readonly request: Buffer
  readonly data: Buffer
  /** Behind the request, when the answer to it is awaited. */
  readonly flush: Buffer
  readonly end: Buffer
}

/** Puts the messages of `step` together. */
export function copyBytes(step: CopyIn, client: number): CopyBytes {
  const text = sqlOf(step.statement.sql, client)
  const data = Buffer.concat(step.chunks.map((chunk) => wire.copyData(sqlOf(chunk, client))))
  const end = step.ending === 'done' ? wire.copyDone() : wire.copyFail('not today')
  if (step.protocol === 'simple') return { request: wire.query(text), data, flush: Buffer.alloc(0), end }
  const early = step.syncsEarly ? [wire.sync()] : []
  const request = Buffer.concat([wire.parse('', text), wire.bind('', ''), wire.execute(''), ...early])
  return { request, data, flush: wire.flush(), end: Buffer.concat([end, wire.sync()]) }
}
