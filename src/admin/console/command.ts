import type { ConsoleAccess } from '../../shard/plane-values.ts'
import type { RouterControl } from '../router-control.ts'
import type { StatsSampler } from '../stats/stats-sampler.ts'
import type { Column, Row } from './table.ts'
import type { Token } from './tokens.ts'

export type GrantedAccess = Exclude<ConsoleAccess, 'none'>

/** What reports are made of. */
export interface ReportContext {
  readonly control: RouterControl
  readonly stats: StatsSampler
}

/** Who gave a command, and whether it still wants the answer. */
export interface ActionContext {
  readonly control: RouterControl
  /** Aborted by a cancel request. */
  readonly signal: AbortSignal
}

/** A command that shows a table; everybody with console access may look. */
export interface ShowCommand {
  readonly kind: 'show'
  /** Upper case, `SHOW CLIENTS`. */
  readonly name: string
  readonly summary: string
  readonly columns: readonly Column[]
  rows(context: ReportContext): Iterable<Row>
}

/** What an action tells besides its command tag: one notice each. */
export type Notices = readonly string[]
export type PreparedAction = (context: ActionContext) => Promise<Notices>

/** A command that changes something; for admin users. */
export interface ActionCommand {
  readonly kind: 'action'
  /** Upper case; also the command tag. */
  readonly name: string
  /** `[database]`, or '' when it takes nothing. */
  readonly argument: string
  readonly summary: string
  /** Checks the argument, without looking at the router; throws `42601` for one that cannot be meant. */
  prepare(argument: readonly Token[]): PreparedAction
}

/** A command that shows a table about what its argument names; everybody with console access may ask. */
export interface QuestionCommand {
  readonly kind: 'question'
  /** Upper case, `EXPLAIN TIER`. */
  readonly name: string
  readonly argument: string
  readonly summary: string
  readonly columns: readonly Column[]
  /** Checks the argument, without looking at the router; throws `42601` for one that cannot be meant. */
  prepare(argument: readonly Token[]): (context: ReportContext) => Iterable<Row>
}

export type Command = ShowCommand | ActionCommand | QuestionCommand
