import { type Frame, showFrames } from './frame.ts'
import { type Statement, sqlOf } from './statement.ts'

/** How a client goes: with a Terminate message, by closing its socket, or with RST. */
export type Leave = 'terminate' | 'close' | 'reset'

/** What a client does before it is the next one's turn. It is over when all of it has been answered. */
export type Step =
  /** Simple queries, sent together. */
  | { readonly kind: 'queries'; readonly statements: readonly Statement[] }
  /** Messages of the extended protocol, sent together; the last one is Sync or Flush. */
  | { readonly kind: 'extended'; readonly frames: readonly Frame[] }
  /** COPY FROM STDIN; `eager`: the data are sent without waiting for the server to ask for them. */
  | {
      readonly kind: 'copyIn'
      readonly statement: Statement
      readonly chunks: readonly string[]
      readonly ending: 'done' | 'fail'
      readonly eager: boolean
    }
  | { readonly kind: 'leave'; readonly how: Leave }

/** `client` counts from 0. Who has not connected yet, or has left, connects first. */
export interface Action {
  readonly client: number
  readonly step: Step
}

/** The role a client logs in as, and what is in its startup packet besides. */
export interface Startup {
  readonly role: 'plain' | 'super'
  readonly parameters: Readonly<Record<string, string>>
}

/** Sessions of several clients, and whose turn it is when. */
export interface Program {
  /** By client. */
  readonly startups: readonly Startup[]
  readonly actions: readonly Action[]
}

/** One line for people. */
export function showAction({ client, step }: Action): string {
  return `client ${client}: ${showStep(step, client)}`
}

/** The whole program for people: who connects how, then one line for each action. */
export function showProgram(program: Program): string {
  const used = new Set(program.actions.map((action) => action.client))
  const connects = [...used].sort().map((client) => {
    const { role, parameters } = program.startups[client]!
    return `client ${client} connects as ${role} with ${JSON.stringify(parameters)}`
  })
  return [...connects, ...program.actions.map(showAction)].join('\n')
}

function showStep(step: Step, client: number): string {
  switch (step.kind) {
    case 'queries':
      return step.statements.map(({ sql }) => `Query ${sqlOf(sql, client)}`).join('  |  ')
    case 'extended':
      return showFrames(step.frames, client)
    case 'copyIn': {
      const end = step.ending === 'done' ? 'CopyDone' : 'CopyFail'
      const data = JSON.stringify(step.chunks.map((chunk) => sqlOf(chunk, client)))
      return `Query ${sqlOf(step.statement.sql, client)}  <- ${data} ${end}${step.eager ? ', without waiting' : ''}`
    }
    case 'leave':
      return `leaves (${step.how})`
  }
}
