import {
  CLIENT,
  CLIENT_F64,
  CLIENT_SECTION,
  CLIENT_SECTIONS,
  CLIENT_STATE,
  CLIENT_STEP,
} from '../memory/client-slots.ts'
import type { Region } from '../memory/region.ts'
import { slotMark } from '../memory/slot-mark.ts'
import { recoverSection, SECTION } from '../memory/slot-section.ts'
import type { StepLog } from '../memory/step-log.ts'

/** What is 0 in the section of a client that wants nothing and is owed nothing. */
const NOTHING = [
  SECTION.inboxBytes,
  SECTION.outboxBytes,
  SECTION.body,
  SECTION.peer,
  SECTION.extraHandle,
  CLIENT_SECTION.pins,
  CLIENT_SECTION.statementsHandle,
  CLIENT_SECTION.unnamedChanges,
] as const

/** What these say has an end that has come, or matters to a session that has a server connection. */
const SETTLED = CLIENT_STEP.bodyGoesOn | CLIENT_STEP.onlyBegun | CLIENT_STEP.mayCommit

/**
 * Tells which clients of a plane that is gone were at rest: between two requests, with nothing that was read of them and not
 * committed, and nothing that was written for them and may not have left. Every read and every send is noted in the step log
 * before it happens, so of these the section is the whole truth, and the kernel does not have to be asked.
 */
export class AtRest {
  readonly #clients: Region
  readonly #committed: number
  readonly #concerned: ReadonlySet<number>
  readonly #inProgress: number

  /** `inProgress`: `slotMark` of whose event the predecessor was serving when it died. */
  constructor(clients: Region, log: StepLog, inProgress: number) {
    this.#clients = clients
    this.#committed = log.committed
    this.#concerned = log.concerned()
    this.#inProgress = inProgress
  }

  /** First i32 of its section; −1: it was not at rest. */
  section(slot: number): number {
    const mark = slotMark(this.#clients, slot)
    if (mark === this.#inProgress || this.#concerned.has(mark)) return -1
    const section = recoverSection(this.#clients, slot, CLIENT_SECTIONS, this.#committed)
    if (section < 0) return -1
    const { i32 } = this.#clients
    if (i32[section + SECTION.state] !== CLIENT_STATE.idle) return -1
    if (((i32[section + SECTION.flags] as number) & ~SETTLED) !== 0) return -1
    for (const field of NOTHING) if (i32[section + field] !== 0) return -1
    return section
  }

  /** What its slot says is true from now on: what a step did that was never committed is not. */
  settle(slot: number, section: number): void {
    const { i32, f64, recordBytes } = this.#clients
    const i = slot * (recordBytes >> 2)
    const f = slot * (recordBytes >> 3)
    i32[i + CLIENT.state] = CLIENT_STATE.idle
    i32[i + CLIENT.server] = 0
    i32[i + CLIENT.inboxHandle] = 0
    i32[i + CLIENT.inboxBytes] = 0
    i32[i + CLIENT.outboxHandle] = 0
    i32[i + CLIENT.outboxStart] = 0
    i32[i + CLIENT.outboxBytes] = 0
    f64[f + CLIENT_F64.bytesRead] = f64[(section + SECTION.read) >> 1] as number
    f64[f + CLIENT_F64.bytesWritten] = f64[(section + SECTION.written) >> 1] as number
  }
}
