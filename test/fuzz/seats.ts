import type { Frame } from './frame.ts'
import type { Startup, Step } from './program.ts'
import type { Trait } from './statement.ts'

/** What the scheduler sees of a client: of the direct run, which decides for both. */
export interface Seated {
  /** Transaction status: `I`, `T` or `E`. */
  readonly status: string
  /** An extended query waits for its Sync. */
  readonly isOpen: boolean
}

/**
 * Decides which steps of a program are performed. A session in a transaction, or one that may be pinned, sits on a server
 * connection; when all but one of the pool's are sat on, a step that could need another one for longer than itself is left
 * out, as it would wait for ever. So are steps that would wait for a lock, and those that PostgreSQL and the router are
 * known to answer differently (docs/compatibility.md). It errs on the side of leaving out.
 */
export class Seats {
  readonly #most: number
  readonly #clients = new Map<number, Place>()

  /** `most`: how many server connections may be sat on. */
  constructor(most: number) {
    this.#most = most
  }

  /** `client` has connected; those of one role share server connections. */
  join(client: number, startup: Startup, seated: Seated): void {
    const hasSettings = Object.keys(startup.parameters).length > 0
    this.#clients.set(client, {
      pool: startup.role,
      hasSettings,
      seated,
      pinned: false,
      named: new Map(),
      rowless: new Set(),
      usedSequence: false,
      listens: false,
    })
  }

  leave(client: number): void {
    this.#clients.delete(client)
  }

  /** Whether it may hold something that outlives it for a moment: locks, temporary tables, a transaction. */
  isHolding(client: number): boolean {
    return holds(this.#place(client))
  }

  /** Whether notifications may come to it. */
  mayListen(client: number): boolean {
    return this.#place(client).listens
  }

  /** Whether `client` may perform `step` now. If so, it must. */
  admit(client: number, step: Step): boolean {
    const place = this.#place(client)
    if (step.kind === 'leave') return step.last === null || this.#mayPerform(place, step.last)
    if (!this.#mayPerform(place, step)) return false
    const traits = this.#traitsOf(place, step)
    place.pinned ||= traits.has('pins')
    place.listens ||= traits.has('listens')
    if (step.kind === 'extended') rememberNames(place, step.frames)
    return true
  }

  #mayPerform(place: Place, step: Step): boolean {
    const traits = this.#traitsOf(place, step)
    if (traits.has('alone') && !this.#isQuiet(step, traits)) return false
    if (traits.has('idle') && place.seated.status !== 'I') return false
    // Settings of the startup packet: within a transaction RESET goes to the server's default (docs/compatibility.md).
    if (traits.has('resets') && place.hasSettings && !(place.seated.status === 'I' && isAlone(step, traits)))
      return false
    // EXECUTE and DEALLOCATE of what the protocol prepared work in simple queries of their own (docs/compatibility.md).
    // A Parse that the router answers does not count as a query of the transaction (docs/compatibility.md).
    if (traits.has('isolates') && hasNames(place, step) && !(place.seated.status === 'I' && isAlone(step, traits))) {
      return false
    }
    // EXECUTE of a prepared SAVEPOINT and the like is a FATAL error in PostgreSQL 18: the router keeps such a client.
    if (traits.has('executes') && traits.has('control')) return false
    if (traits.has('simple') && !isSimple(step, traits)) return false
    if (place.seated.status === 'E' && describesNamed(step)) return false
    if (describesOlder(place, step)) return false
    if (traits.has('readsSequence') && !place.usedSequence) return false
    const needsSeat = traits.has('begins') || traits.has('pins') || endsOpen(step)
    return !needsSeat || holds(place) || this.#taken(place.pool) < this.#most
  }

  /** A step with a `nextval` has been performed without an error. */
  usedSequence(client: number): void {
    this.#place(client).usedSequence = true
  }

  /** A step has been performed behind which the session may know of no sequence that it has used. */
  forgotSequence(client: number): void {
    this.#place(client).usedSequence = false
  }

  /** What the statements of `step` may do, prepared ones included. */
  traits(client: number, step: Step): ReadonlySet<Trait> {
    return this.#traitsOf(this.#place(client), step)
  }

  #place(client: number): Place {
    const place = this.#clients.get(client)
    if (place === undefined) throw new Error(`client ${client} is not connected`)
    return place
  }

  #taken(pool: string): number {
    return [...this.#clients.values()].filter((place) => place.pool === pool && holds(place)).length
  }

  #isQuiet(step: Step, traits: ReadonlySet<Trait>): boolean {
    const inTransaction = [...this.#clients.values()].some(({ seated }) => seated.status !== 'I' || seated.isOpen)
    return !inTransaction && !traits.has('begins') && !endsOpen(step)
  }

  #traitsOf(place: Place, step: Step): ReadonlySet<Trait> {
    switch (step.kind) {
      case 'queries':
        return new Set(step.statements.flatMap(({ traits }) => [...traits, ...executed(place, traits)]))
      case 'copyIn':
        return new Set(step.statement.traits)
      case 'call':
        return new Set(step.traits)
      case 'cancel':
        return new Set()
      case 'leave':
        return step.last === null ? new Set() : this.#traitsOf(place, step.last)
      case 'extended':
        return new Set(step.frames.flatMap((frame) => traitsOfFrame(place, frame)))
    }
  }
}

interface Place {
  /** Its startup packet set something. */
  readonly hasSettings: boolean
  readonly pool: string
  readonly seated: Seated
  pinned: boolean
  /** What is known of the statements it prepared, by name. */
  readonly named: Map<string, readonly Trait[]>
  /** Those of them that may stand for a statement that returns no rows. */
  readonly rowless: Set<string>
  usedSequence: boolean
  listens: boolean
}

function holds({ seated, pinned }: Place): boolean {
  return pinned || seated.status !== 'I' || seated.isOpen
}

function endsOpen(step: Step): boolean {
  return step.kind === 'extended' && step.frames.at(-1)?.type !== 'sync'
}

function isAlone(step: Step, traits: ReadonlySet<Trait>): boolean {
  return isSimple(step, traits) || isOneShot(step)
}

/** It has prepared statements with names, or does so now. */
function hasNames({ named }: Place, step: Step): boolean {
  const names = step.kind === 'extended' && step.frames.some((frame) => frame.type === 'parse' && frame.name !== '')
  return names || [...named.keys()].some((name) => name !== '')
}

function isSimple(step: Step, traits: ReadonlySet<Trait>): boolean {
  return step.kind === 'queries' && step.statements.length === 1 && !traits.has('joined')
}

/**
 * In a failed transaction, Describe of a statement may be refused with 25P02 where PostgreSQL describes it, because the
 * server connection may lack it and cannot be given it (docs/compatibility.md).
 */
function describesNamed(step: Step): boolean {
  return step.kind === 'extended' && step.frames.some((frame) => frame.type === 'describe' && frame.kind === 'S')
}

const RETURNS_ROWS = /^(select|show|values|fetch|execute|with)\b|\breturning\b/i

/**
 * PostgreSQL describes a statement without rows as it was when it was prepared, whatever has become of its tables or of the
 * search_path. A server connection that lacks it has to be given it first, which may fail (docs/compatibility.md).
 */
function describesOlder({ rowless }: Place, step: Step): boolean {
  if (step.kind !== 'extended') return false
  return step.frames.some((frame) => frame.type === 'describe' && frame.kind === 'S' && rowless.has(frame.name))
}

/** Parse, Bind, Describe, Execute, Sync of the unnamed statement. */
function isOneShot(step: Step): boolean {
  if (step.kind !== 'extended' || step.frames.length !== 5) return false
  const [parse] = step.frames
  return parse?.type === 'parse' && parse.name === '' && step.frames.at(-1)?.type === 'sync'
}

/** `EXECUTE p1` may run whatever was prepared. */
function executed(place: Place, traits: readonly Trait[]): readonly Trait[] {
  return traits.includes('executes') ? [...place.named.values()].flat() : []
}

function traitsOfFrame(place: Place, frame: Frame): readonly Trait[] {
  if (frame.type === 'parse') return frame.statement.traits
  if (frame.type === 'bind') return place.named.get(frame.name) ?? []
  // A portal may have been bound earlier in this transaction, to whatever its client prepared.
  return frame.type === 'execute' ? [...place.named.values()].flat() : []
}

function rememberNames(place: Place, frames: readonly Frame[]): void {
  for (const frame of frames) {
    if (frame.type !== 'parse') continue
    const known = frame.name === '' ? [] : (place.named.get(frame.name) ?? [])
    place.named.set(frame.name, [...known, ...frame.statement.traits])
    if (!RETURNS_ROWS.test(frame.statement.sql)) place.rowless.add(frame.name)
  }
}
