import * as wire from '../support/wire-frames.ts'
import { type Statement, sqlOf } from './statement.ts'

/** A message of the extended protocol; `S` means a statement, `P` a portal. */
export type Frame =
  | { readonly type: 'parse'; readonly name: string; readonly statement: Statement }
  | {
      readonly type: 'bind'
      readonly portal: string
      readonly name: string
      readonly values: readonly (string | null)[]
    }
  | { readonly type: 'describe' | 'close'; readonly kind: 'S' | 'P'; readonly name: string }
  | { readonly type: 'execute'; readonly portal: string; readonly rows: number }
  | { readonly type: 'flush' | 'sync' }

/** The bytes that client number `client` sends. */
export function encodeFrame(frame: Frame, client: number): Buffer {
  switch (frame.type) {
    case 'parse':
      return wire.parse(frame.name, sqlOf(frame.statement.sql, client))
    case 'bind':
      return wire.bind(frame.portal, frame.name, frame.values)
    case 'describe':
      return wire.describe(frame.kind, frame.name)
    case 'close':
      return wire.close(frame.kind, frame.name)
    case 'execute':
      return wire.execute(frame.portal, frame.rows)
    case 'flush':
      return wire.flush()
    case 'sync':
      return wire.sync()
  }
}

/** How many of the answers that end a message's own answer come for these, if none fails. */
export function answersTo(frames: readonly Frame[]): number {
  return frames.filter(({ type }) => type !== 'flush' && type !== 'sync').length
}

/** The messages since the last Sync. */
export function unsynced(frames: readonly Frame[]): readonly Frame[] {
  return frames.slice(frames.findLastIndex(({ type }) => type === 'sync') + 1)
}

/** One line for people. */
export function showFrames(frames: readonly Frame[], client: number): string {
  return frames.map((frame) => showFrame(frame, client)).join(' ')
}

function showFrame(frame: Frame, client: number): string {
  switch (frame.type) {
    case 'parse':
      return `Parse(${frame.name || "''"}, ${JSON.stringify(sqlOf(frame.statement.sql, client))})`
    case 'bind':
      return `Bind(${frame.portal || "''"}, ${frame.name || "''"}, ${JSON.stringify(frame.values)})`
    case 'describe':
      return `Describe(${frame.kind} ${frame.name || "''"})`
    case 'close':
      return `Close(${frame.kind} ${frame.name || "''"})`
    case 'execute':
      return `Execute(${frame.portal || "''"}${frame.rows === 0 ? '' : `, ${frame.rows} rows`})`
    case 'flush':
      return 'Flush'
    case 'sync':
      return 'Sync'
  }
}
