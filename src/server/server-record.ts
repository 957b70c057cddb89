import { Spill } from '../io/spill.ts'
import type { Region } from '../memory/region.ts'
import {
  SECTION_REPLIES,
  SERVER,
  SERVER_SECTION,
  SERVER_STATE_NAMES,
  SERVER_STEP,
  type ServerState,
  serverStateCode,
} from '../memory/server-slots.ts'
import { SECTION } from '../memory/slot-section.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { PreparedStatement } from '../session/prepared-statements.ts'
import type { CapturedState } from './captured-rows.ts'
import type { ServerConnection } from './server-connection.ts'
import type { ServerHost } from './server-host.ts'

export const NUMBER_BYTES = 4
/** A statement in the list of those that a server connection has: the number in its name, and its text's id. */
export const STATEMENT_BYTES = 2 * NUMBER_BYTES

/** What a section has no numbers for; rarely there. */
interface Extra {
  readonly lastWords: ErrorFields | null
  readonly failure: ErrorFields | null
  readonly rows: CapturedState | null
  readonly strays: readonly string[] | null
  readonly retired: string | null
  /** All owed answers, where there are many. */
  readonly replies: readonly number[] | null
}

/** Writes down what a server connection needs to go on in another process, and reads it there. */
export class ServerRecord {
  readonly #host: ServerHost
  readonly #server: ServerConnection
  #extra: Spill | null = null
  #statements: Spill | null = null
  /** The version of its list of statements that is written down. */
  #version = 0

  constructor(host: ServerHost, server: ServerConnection) {
    this.#host = host
    this.#server = server
  }

  /** Completes the section at `at`. */
  save(at: number, isTorn: boolean): void {
    const { servers, store } = this.#host
    const { i32 } = servers
    const server = this.#server
    const { queue, relay, parameters } = server
    i32[at + SECTION.state] = serverStateCode(server.state)
    i32[at + SECTION.body] = relay.bodyRemaining
    i32[at + SECTION.peer] = i32[server.slot * (servers.recordBytes >> 2) + SERVER.client] as number
    i32[at + SERVER_SECTION.status] = server.status
    i32[at + SERVER_SECTION.unnamedOwner] = server.unnamedOwner
    i32[at + SERVER_SECTION.hidesSettingsOf] = server.hidesSettingsOf
    if (!store.has(parameters)) {
      parameters.storedAs = store.put(Buffer.from(JSON.stringify([...parameters.values])))
      parameters.storedIn = store.epoch
    }
    i32[at + SERVER_SECTION.parametersId] = parameters.storedAs
    const isWhole = this.#saveExtra() && this.#saveStatements()
    i32[at + SECTION.extraHandle] = this.#extra?.handle ?? 0
    i32[at + SECTION.extraBytes] = this.#extra?.bytes ?? 0
    i32[at + SERVER_SECTION.statementsHandle] = this.#statements?.handle ?? 0
    i32[at + SERVER_SECTION.statementsBytes] = this.#statements?.bytes ?? 0
    i32[at + SERVER_SECTION.owed] = queue.length
    queue.copyTo(servers.bytes, (at + SERVER_SECTION.replies) * NUMBER_BYTES, SECTION_REPLIES)
    i32[at + SECTION.flags] =
      // What its client has got of what comes once more is known to nobody else.
      (isTorn || relay.delivery.isEchoing || !isWhole || parameters.storedAs === 0 ? SERVER_STEP.torn : 0) |
      (queue.skipping ? SERVER_STEP.skipping : 0) |
      (queue.unfinished ? SERVER_STEP.unfinished : 0) |
      (queue.copyEnded ? SERVER_STEP.copyEnded : 0) |
      relay.stepFlags |
      (server.listens ? SERVER_STEP.listens : 0) |
      (server.parallelism === 'own' ? 0 : SERVER_STEP.serial) |
      (server.life.isCancelling ? SERVER_STEP.cancelling : 0)
  }

  #saveExtra(): boolean {
    const { queue, relay, strays, retired } = this.#server
    const { questions } = relay
    const { lastWords } = relay.answers
    const isLong = queue.length > SECTION_REPLIES
    if (lastWords === null && !questions.isOpen && strays === null && retired === null && !isLong) {
      this.#extra?.clear()
      return true
    }
    const extra: Extra = {
      lastWords,
      failure: questions.failure,
      rows: questions.captured,
      strays: strays === null ? null : [...strays],
      retired,
      replies: isLong ? queue.entries : null,
    }
    this.#extra ??= new Spill(this.#host.arena)
    return this.#extra.put(Buffer.from(JSON.stringify(extra)))
  }

  #saveStatements(): boolean {
    const { statements } = this.#server
    if (statements.version === this.#version) return true
    const { store } = this.#host
    const list = Buffer.alloc(statements.size * STATEMENT_BYTES)
    let at = 0
    for (const statement of statements.all) {
      // The text of a long one is nowhere else: its session ends with the process.
      if (!statement.isLong && !store.has(statement)) {
        statement.storedAs = store.put(statement.tail)
        statement.storedIn = store.epoch
      }
      list.writeInt32LE(statement.id, at)
      list.writeInt32LE(statement.storedAs, at + NUMBER_BYTES)
      at += STATEMENT_BYTES
    }
    this.#statements ??= new Spill(this.#host.arena)
    if (!this.#statements.put(list)) return false
    this.#version = statements.version
    return true
  }

  /** Everything but its client becomes as the section at `at` has it. Throws when that cannot be read. */
  restore(at: number): void {
    const { servers, parameters, arena } = this.#host
    const { i32, bytes } = servers
    const server = this.#server
    const flags = i32[at + SECTION.flags] as number
    const known = this.#value(i32[at + SERVER_SECTION.parametersId] as number)
    server.parameters = parameters.of(known as [string, string][])
    server.unnamedOwner = i32[at + SERVER_SECTION.unnamedOwner] as number
    server.hidesSettingsOf = i32[at + SERVER_SECTION.hidesSettingsOf] as number
    // Or unknown: then it is told once more, by whoever comes next.
    if ((flags & SERVER_STEP.serial) !== 0) server.parallelism = 'unknown'
    server.listens = (flags & SERVER_STEP.listens) !== 0
    server.relay.restore(i32[at + SECTION.body] as number, flags)
    this.#statements = new Spill(arena)
    this.#statements.adopt(
      i32[at + SERVER_SECTION.statementsHandle] as number,
      i32[at + SERVER_SECTION.statementsBytes] as number,
    )
    this.#restoreStatements(this.#statements)
    const owed = i32[at + SERVER_SECTION.owed] as number
    const repliesAt = (at + SERVER_SECTION.replies) * NUMBER_BYTES
    let replies: readonly number[] = [...bytes.subarray(repliesAt, repliesAt + Math.min(owed, SECTION_REPLIES))]
    const extraHandle = i32[at + SECTION.extraHandle] as number
    if (extraHandle !== 0) {
      this.#extra = new Spill(arena)
      this.#extra.adopt(extraHandle, i32[at + SECTION.extraBytes] as number)
      const extra = JSON.parse(this.#extra.data.toString('utf8')) as Extra
      server.retired = extra.retired
      server.strays = extra.strays === null ? null : new Set(extra.strays)
      server.relay.answers.lastWords = extra.lastWords
      server.relay.questions.restore(extra.failure, extra.rows)
      replies = extra.replies ?? replies
    }
    server.queue.restore(replies, {
      skipping: (flags & SERVER_STEP.skipping) !== 0,
      unfinished: (flags & SERVER_STEP.unfinished) !== 0,
      copyEnded: (flags & SERVER_STEP.copyEnded) !== 0,
    })
  }

  #restoreStatements(list: Spill): void {
    const { statements } = this.#server
    if (list.handle !== 0) {
      const { data } = list
      for (let at = 0; at < data.length; at += STATEMENT_BYTES) {
        statements.add(this.#statement(data.readInt32LE(at), data.readInt32LE(at + NUMBER_BYTES)))
      }
    }
    this.#version = statements.version
  }

  #statement(id: number, storedAs: number): PreparedStatement {
    const { store, statements } = this.#host
    const tail = store.get(storedAs)
    if (tail === null) return statements.restoreLong(id)
    const statement = statements.restore(id, tail)
    statement.storedAs = storedAs
    statement.storedIn = store.epoch
    return statement
  }

  #value(id: number): unknown {
    const bytes = this.#host.store.get(id)
    if (bytes === null) throw new Error(`server connection ${this.#server.slot}: value ${id} is not in the store`)
    return JSON.parse(bytes.toString('utf8'))
  }

  /** The connection is gone. */
  release(): void {
    this.#extra?.clear()
    this.#statements?.clear()
  }
}

/** The state that the section at `at` has. */
export function savedState(region: Region, at: number): ServerState {
  return SERVER_STATE_NAMES[region.i32[at + SECTION.state] as number] ?? 'free'
}
