import { RouterError } from '../../errors.ts'
import type {
  ActionCommand,
  Command,
  GrantedAccess,
  Notices,
  QuestionCommand,
  ReportContext,
  ShowCommand,
} from './command.ts'
import { smallTalk } from './driver-small-talk.ts'
import { COMMANDS, findCommand } from './registry.ts'
import type { SessionSettings } from './session-settings.ts'
import type { Column, Row } from './table.ts'
import type { Token } from './tokens.ts'

/** What a statement may know of the session that runs it. */
export interface StatementContext extends ReportContext {
  readonly user: string
  readonly database: string
  readonly access: GrantedAccess
  readonly settings: SessionSettings
  readonly signal: AbortSignal
}

/** What a statement does to the session itself, besides its answer. */
export type SessionEffect =
  | { readonly kind: 'begin' | 'commit' | 'rollback' }
  | { readonly kind: 'set'; readonly name: string; readonly value: string }
  /** Null: all of them. */
  | { readonly kind: 'deallocate'; readonly name: string | null }

export interface Outcome {
  /** In the statement's columns; empty for a statement without columns. */
  readonly rows: Iterable<Row>
  readonly notices: Notices
}

/** One statement, checked and ready to run any number of times. */
export interface Statement {
  /** For the log: the command in one line. */
  readonly text: string
  /**
   * CommandComplete's tag. One with columns gets the number of rows, also SHOW, unlike PostgreSQL's: postgres.js drops
   * the last rows of a cursor whose tag has no number.
   */
  readonly tag: string
  /** Null: it returns no rows. */
  readonly columns: readonly Column[] | null
  readonly effect: SessionEffect | null
  /** True for what may take time, so that earlier answers must not wait for it. */
  readonly slow: boolean
  run(context: StatementContext): Promise<Outcome>
}

/** Words that only the next one makes a command. */
const TWO_WORDS: ReadonlySet<string> = new Set(['show', 'explain', 'scale'])

/** The statement that these tokens (at least one) are; throws `42601` for what the console does not know. */
export function parseStatement(tokens: readonly Token[]): Statement {
  const [first, second] = tokens
  const hasTwoWords = first?.kind === 'word' && TWO_WORDS.has(first.value)
  const name = (hasTwoWords ? `${first.value} ${second?.value ?? ''}` : (first?.value ?? '')).toUpperCase()
  const command = first?.kind === 'word' ? findCommand(name) : undefined
  if (command?.kind === 'show') return showStatement(command, tokens.slice(2))
  if (command?.kind === 'question') return questionStatement(command, tokens.slice(2))
  if (command?.kind === 'action') return actionStatement(command, tokens.slice(hasTwoWords ? 2 : 1))
  const talk = smallTalk(tokens)
  if (talk !== null) return talk
  throw unknownCommand(name)
}

function showStatement(command: ShowCommand, rest: readonly Token[]): Statement {
  if (rest.length > 0) throw new RouterError('42601', `${command.name} takes no argument.`, { origin: 'client' })
  return {
    text: command.name,
    tag: 'SHOW',
    columns: command.columns,
    effect: null,
    slow: false,
    run: async (context) => ({ rows: command.rows(context), notices: [] }),
  }
}

function questionStatement(command: QuestionCommand, argument: readonly Token[]): Statement {
  const answer = command.prepare(argument)
  return {
    text: [command.name, ...argument.map(({ value }) => value)].join(' '),
    tag: 'EXPLAIN',
    columns: command.columns,
    effect: null,
    slow: false,
    run: async (context) => ({ rows: answer(context), notices: [] }),
  }
}

function actionStatement(command: ActionCommand, argument: readonly Token[]): Statement {
  const action = command.prepare(argument)
  return {
    text: [command.name, ...argument.map(({ value }) => value)].join(' '),
    tag: command.name,
    columns: null,
    effect: null,
    slow: true,
    run: async (context) => {
      if (context.access !== 'admin') throw adminOnly(command, context.user)
      return { rows: [], notices: await action(context) }
    },
  }
}

function adminOnly(command: Command, user: string): RouterError {
  return new RouterError('42501', `${command.name} is for console admins; "${user}" may only look.`, {
    origin: 'client',
    hint: 'Give the user console access "admin" in the configuration.',
  })
}

function unknownCommand(name: string): RouterError {
  const shows = COMMANDS.filter(({ kind }) => kind === 'show').map((command) => command.name.slice('SHOW '.length))
  const actions = COMMANDS.filter(({ kind }) => kind !== 'show').map((command) => command.name)
  const shown = name.length > 60 ? `${name.slice(0, 60)}…` : name
  return new RouterError('42601', `The admin console has no command "${shown}"; it is not a PostgreSQL server.`, {
    origin: 'client',
    hint: `Commands: SHOW ${shows.join(' | ')}; ${actions.join('; ')}. SHOW HELP describes them.`,
  })
}
