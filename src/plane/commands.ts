import { BadModel, type ModelFile } from '../analyzer/tier-model.ts'
import { isOnlyReading } from '../client/run-again.ts'
import type { DrainPatience, PlaneCommand, PlaneEvent, PlaneOrder } from '../memory/control-protocol.ts'
import type { ModelValue } from '../shard/model-value.ts'
import { Timer } from '../util/timer-wheel.ts'
import { longestRead } from './longest-read.ts'
import type { Plane } from './plane.ts'
import { drainPlane, refuseClients } from './plane-drain.ts'

const POLL_MS = 5
const STOPPED = 'the shard is being stopped or moved'

/** Carries out what the control process orders. Long ones are looked after once per `POLL_MS` until they are done. */
export class PlaneCommands {
  readonly #plane: Plane
  readonly #tell: (event: PlaneEvent) => void
  readonly #exit: () => void
  readonly #unfinished = new Map<number, { done(): boolean; deadline: number }>()
  readonly #poll: Timer

  constructor(plane: Plane, tell: (event: PlaneEvent) => void, exit: () => void) {
    this.#plane = plane
    this.#tell = tell
    this.#exit = exit
    this.#poll = new Timer(() => this.#look())
  }

  run(command: PlaneCommand): void {
    switch (command.op) {
      case 'values':
        this.#plane.setValues(command.values)
        return
      case 'topology':
        this.#plane.setTopology(command.topology)
        return
      case 'model':
        this.#useModel(command.model)
        return
      case 'account':
        this.#plane.accounts.found(command.user, command.account, command.error)
        return
      case 'functions':
        this.#plane.catalogues.answered(command)
        return
      case 'holds':
        this.#plane.poolSet.releaseAllBut(command.shards)
        return
      case 'exit':
        this.#exit()
        return
      default:
        this.#obey(command)
    }
  }

  #obey(command: PlaneOrder): void {
    switch (command.op) {
      case 'pause':
        this.#plane.poolSet.pause(command.database)
        this.#until(command.id, () => this.#isQuiet(command.database), Number.POSITIVE_INFINITY)
        return
      case 'resume':
        this.#plane.poolSet.resume(command.database)
        this.#plane.listeners.revise()
        this.#done(command.id, null)
        return
      case 'reconnect':
        for (const pool of this.#plane.poolSet.of(command.database)) pool.retire('RECONNECT')
        this.#done(command.id, null)
        return
      case 'kill':
        this.#kill(command.id, command.database)
        return
      case 'hold':
        this.#hold(command.id, command.shard, command.deadlineMs)
        return
      case 'release':
        this.#plane.poolSet.release(command.shard)
        this.#plane.listeners.revise()
        this.#done(command.id, null)
        return
      case 'cancel-read':
        this.#cancelRead(command)
        return
      case 'kill-client':
        this.#killClient(command.id, command.client, command.generation)
        return
      case 'drain':
        this.#drain(command.id, command.awaited, command.deadlineMs)
        return
    }
  }

  /** One that cannot be used is not, whatever else control thought of it. */
  #useModel(file: ModelValue | null): void {
    try {
      this.#plane.analyzer.setModel(file as unknown as ModelFile | null, this.#plane.now)
    } catch (error) {
      if (!(error instanceof BadModel)) throw error
      this.#plane.log('error', 'the tier model is refused, and the one before it goes on', { reason: error.message })
    }
  }

  #drain(id: number, awaited: DrainPatience, deadlineMs: number | null): void {
    const plane = this.#plane
    refuseClients(plane)
    if (awaited === 'transactions') drainPlane(plane)
    const done = (): boolean => {
      // Whoever watches from the console goes last.
      if (!plane.draining && plane.sessions.areOnlyConsole) drainPlane(plane)
      return plane.sessions.size === 0
    }
    this.#until(id, done, deadlineMs === null ? Number.POSITIVE_INFINITY : plane.now + deadlineMs)
  }

  #kill(id: number, database: string | null): void {
    this.#plane.poolSet.pause(database)
    // None is put in order for the next client.
    for (const pool of this.#plane.poolSet.of(database)) pool.retire('KILL')
    for (const session of this.#plane.sessions.all) {
      const isConsole = this.#plane.values.consoleDatabases.includes(session.database)
      if (isConsole || (database !== null && session.database !== database)) continue
      session.close('KILL', {
        severity: 'FATAL',
        sqlstate: '57P01',
        message: 'terminating connection due to administrator command',
      })
    }
    for (const pool of this.#plane.poolSet.of(database)) pool.kill('KILL')
    this.#done(id, null)
  }

  #killClient(id: number, slot: number, generation: number): void {
    const session = this.#plane.sessions.find(slot, generation)
    session?.close('KILL_CLIENT', {
      severity: 'FATAL',
      sqlstate: '57P01',
      message: 'terminating connection due to administrator command',
    })
    this.#done(id, session === null ? 'that client is gone already' : null)
  }

  #cancelRead({ id, shard, tiers, longerThanMs }: Extract<PlaneOrder, { op: 'cancel-read' }>): void {
    const plane = this.#plane
    const read = longestRead(plane.sessions.all, {
      ...{ shard, tiers, longerThanMs },
      runningMs: (slot) => plane.sessions.queryMs(slot, plane.now),
      isOnlyReading: (session, server) => isOnlyReading(session, server, plane.opinion),
    })
    if (read === null) {
      this.#done(id, 'no read has run there for that long')
      return
    }
    const { session, server, runningMs } = read
    const { user, database } = session
    const fields = { user, database, client: session.slot, runningMs: Math.round(runningMs) }
    plane.log('warn', `a read of ${user} is cancelled after ${Math.round(runningMs)} ms, to help higher tiers`, fields)
    plane.signals.cancelServer(server)
    plane.record.add('readsCancelled')
    this.#done(id, null)
  }

  /** No server connection of the database is in use; the idle ones are closed, as PgBouncer does. */
  #isQuiet(database: string | null): boolean {
    let quiet = true
    for (const pool of this.#plane.poolSet.of(database)) {
      for (const server of [...pool.servers]) if (server.state === 'idle') server.close('PAUSE')
      if (pool.size > 0) quiet = false
    }
    // Nobody can notify through here any more, so what listens may go as well.
    if (quiet) this.#plane.listeners.revise()
    return quiet
  }

  #hold(id: number, shard: number, deadlineMs: number): void {
    const { poolSet, listeners } = this.#plane
    poolSet.hold(shard)
    const deadline = this.#plane.now + deadlineMs
    const done = (): boolean => {
      const isLate = this.#plane.now >= deadline
      if (!isLate && !this.#isAtRest(shard)) return false
      for (const pool of poolSet.ofShard(shard)) {
        for (const server of [...pool.servers]) server.close(STOPPED)
      }
      listeners.revise()
      return true
    }
    this.#until(id, done, Number.POSITIVE_INFINITY)
  }

  /**
   * No transaction runs on the shard, and nobody has a server connection there. Those that nobody has are closed meanwhile, and those
   * of sessions that rest: they have left if they can.
   */
  #isAtRest(shard: number): boolean {
    let atRest = true
    for (const pool of this.#plane.poolSet.ofShard(shard)) {
      for (const server of [...pool.servers]) {
        if (server.state === 'idle') server.close('the shard is held')
        else if (server.state !== 'active' || server.inTransaction || server.queue.length > 0) atRest = false
        else if (server.client?.leave() === true) atRest = false
        // Waiting for an instant at which all of those rest would make the others wait.
        else server.close(STOPPED)
      }
    }
    return atRest
  }

  #until(id: number, done: () => boolean, deadline: number): void {
    this.#unfinished.set(id, { done, deadline })
    this.#look()
  }

  #look(): void {
    for (const [id, { done, deadline }] of this.#unfinished) {
      const finished = done()
      if (!finished && this.#plane.now < deadline) continue
      this.#unfinished.delete(id)
      this.#done(id, finished ? null : 'the deadline has passed')
    }
    if (this.#unfinished.size > 0) this.#plane.timers.arm(this.#poll, this.#plane.now + POLL_MS)
  }

  #done(id: number, error: string | null): void {
    this.#tell({ op: 'done', id, error })
    this.#plane.record.set('turnedAt', this.#plane.now)
  }
}
