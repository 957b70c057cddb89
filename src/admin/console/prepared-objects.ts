import { RouterError } from '../../errors.ts'
import type { Statement } from './statement.ts'
import type { Row } from './table.ts'
import type { FormatCode } from './value-encoding.ts'

/** Null: an empty query string. */
export type Parsed = Statement | null

/** A bound statement and how far it has been fetched. */
export interface Portal {
  readonly parsed: Parsed
  readonly formats: readonly FormatCode[]
  /** Set by the first Execute. */
  rows: Iterator<Row> | null
  /** The row that a row limit cut off; it comes first next time. */
  ahead: Row | null
}

/** Far above what drivers keep; a client that forgets to close is told instead of filling memory. */
const MAX_OBJECTS = 1000

/**
 * The prepared statements and portals of one session, by name; '' is the unnamed one, replaced without asking.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */
export class PreparedObjects {
  readonly #statements = new Map<string, Parsed>()
  readonly #portals = new Map<string, Portal>()

  addStatement(name: string, parsed: Parsed): void {
    if (name !== '' && this.#statements.has(name)) {
      throw new RouterError('42P05', `The prepared statement "${name}" already exists.`, { origin: 'client' })
    }
    requireRoom(this.#statements.size, 'prepared statements')
    this.#statements.set(name, parsed)
  }

  statement(name: string): Parsed {
    const parsed = this.#statements.get(name)
    if (parsed !== undefined) return parsed
    throw new RouterError('26000', `The prepared statement "${name}" does not exist.`, { origin: 'client' })
  }

  closeStatement(name: string): void {
    this.#statements.delete(name)
  }

  closeAllStatements(): void {
    this.#statements.clear()
  }

  addPortal(name: string, portal: Portal): void {
    if (name !== '' && this.#portals.has(name)) {
      throw new RouterError('42P03', `The portal "${name}" already exists.`, { origin: 'client' })
    }
    requireRoom(this.#portals.size, 'portals')
    this.#portals.set(name, portal)
  }

  portal(name: string): Portal {
    const portal = this.#portals.get(name)
    if (portal !== undefined) return portal
    throw new RouterError('34000', `The portal "${name}" does not exist.`, { origin: 'client' })
  }

  closePortal(name: string): void {
    this.#portals.delete(name)
  }

  /** Portals live until the end of their transaction. */
  closeAllPortals(): void {
    this.#portals.clear()
  }
}

function requireRoom(count: number, what: string): void {
  if (count < MAX_OBJECTS) return
  throw new RouterError('53400', `The session has ${MAX_OBJECTS} ${what} already; close some.`, { origin: 'client' })
}
