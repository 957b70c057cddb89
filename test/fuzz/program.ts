import { type Frame, showFrames } from './frame.ts'
import { type Statement, sqlOf, type Trait } from './statement.ts'

/** How a client goes: with a Terminate message, by closing its socket, or with RST. */
export type Leave = 'terminate' | 'close' | 'reset'

/** Clients of a program at most: more than a router's pool has server connections. */
export const CLIENTS = 5

/** What a client does before it is the next one's turn. It is over when all of it has been answered. */
export type Step =
  | Request
  | CopyIn
  /** A function call message; arguments and result are text. */
  | {
      readonly kind: 'call'
      readonly oid: number
      readonly values: readonly string[]
      readonly traits: readonly Trait[]
    }
  /** A cancel request: while the server sleeps for the client, asked in this way, or while it does nothing. */
  | { readonly kind: 'cancel'; readonly during: 'nothing' | 'query' | 'several' | 'extended' }
  /**
   * `last`: sent with the goodbye, and nobody waits for the answers. `torn`: the half of a message behind that.
   */
  | { readonly kind: 'leave'; readonly how: Leave; readonly last: Request | null; readonly torn: boolean }

/** Something to be answered. */
export type Request =
  /** Simple queries, sent together. */
  | { readonly kind: 'queries'; readonly statements: readonly Statement[] }
  /** Messages of the extended protocol, sent together; the last one is Sync or Flush. */
  | { readonly kind: 'extended'; readonly frames: readonly Frame[] }

/** COPY FROM STDIN. */
export interface CopyIn {
  readonly kind: 'copyIn'
  readonly protocol: 'simple' | 'extended'
  readonly statement: Statement
  readonly chunks: readonly string[]
  readonly ending: 'done' | 'fail'
  /** The data are sent without waiting for the server to ask for them. */
  readonly eager: boolean
  /** Of the extended protocol: a Sync goes ahead of the data, which the server ignores if it copies in. */
  readonly syncsEarly: boolean
}

/** `client` counts from 0. Who has not connected yet, or has left, connects first. */
export interface Action {
  readonly client: number
  readonly step: Step
}

/** A role: an ordinary one, a superuser, one for which settings are set by ALTER ROLE. */
export type RoleName = 'plain' | 'super' | 'tenant'

/** The role a client logs in as, and what is in its startup packet besides. */
export interface Startup {
  readonly role: RoleName
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
      const how = [step.protocol, step.eager ? 'without waiting' : '', step.syncsEarly ? 'Sync first' : '']
      const text = sqlOf(step.statement.sql, client)
      return `Query ${text}  <- ${data} ${end} (${how.filter((word) => word !== '').join(', ')})`
    }
    case 'call':
      return `calls ${step.oid}(${step.values.join(', ')})`
    case 'cancel':
      return `cancels ${step.during}`
    case 'leave': {
      const last = step.last === null ? '' : `${showStep(step.last, client)}  and `
      return `${last}leaves (${step.how})${step.torn ? ' in the middle of a message' : ''}`
    }
  }
}
