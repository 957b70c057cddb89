import type { PlaneEvent } from '../memory/control-protocol.ts'
import type { DroppedClient, OutcomeBatch, PreservationSummary } from '../memory/preservation.ts'

/** Older events are forgotten, and of older ones yet the names. */
const EVENTS = 32
const EVENTS_WITH_CLIENTS = 4

/** A client that was kept, as it was when the event was reported. */
export type KeptClient = Omit<DroppedClient, 'reason' | 'told'>

/** What became of one client. */
export type PreservedClient =
  | (KeptClient & { readonly kept: true; readonly relocated: boolean })
  | (DroppedClient & { readonly kept: false })

/** One event, for people. */
export interface PreservationEntry extends PreservationSummary {
  /** Counts events of this router. */
  readonly id: number
  /** Who it concerned; not all of them when the event is long past. */
  readonly clients: readonly PreservedClient[]
}

interface Entry extends PreservationEntry {
  clients: PreservedClient[]
}

/** Where the reports outlive a control process. */
export interface PreservationKeeping {
  read(): readonly PreservationEntry[]
  keep(entries: readonly PreservationEntry[]): void
}

type Preserved = Extract<PlaneEvent, { op: 'preserved' | 'preserved-clients' }>

/** The preservation reports of all planes, newest first. */
export class PreservationLedger {
  readonly #describe: (slot: number, generation: number) => KeptClient | null
  readonly #keeping: PreservationKeeping
  #entries: Entry[]
  #lastId: number

  /** `describe`: who has this slot now; null when it is somebody else, or nobody. */
  constructor(describe: (slot: number, generation: number) => KeptClient | null, keeping: PreservationKeeping) {
    this.#describe = describe
    this.#keeping = keeping
    this.#entries = keeping.read().map((entry) => ({ ...entry, clients: [...entry.clients] }))
    this.#lastId = Math.max(0, ...this.#entries.map(({ id }) => id))
  }

  get entries(): readonly PreservationEntry[] {
    return this.#entries
  }

  add(event: Preserved): void {
    this.#note(event)
    this.#keeping.keep(this.#entries)
  }

  #note(event: Preserved): void {
    if (event.op === 'preserved') {
      this.#lastId++
      this.#entries = [{ ...event.summary, id: this.#lastId, clients: [] }, ...this.#entries].slice(0, EVENTS)
      for (const entry of this.#entries.slice(EVENTS_WITH_CLIENTS)) entry.clients = []
      return
    }
    const entry = this.#entries.find(({ plane, beganAt }) => plane === event.plane && beganAt === event.beganAt)
    if (entry !== undefined) this.#addClients(entry, event.batch)
  }

  #addClients(entry: Entry, batch: OutcomeBatch): void {
    if (batch.dropped !== undefined) {
      for (const client of batch.dropped) entry.clients.push({ ...client, kept: false })
      return
    }
    for (let at = 0; at + 1 < batch.kept.length; at += 2) {
      const client = this.#describe(batch.kept[at] ?? 0, batch.kept[at + 1] ?? 0)
      // Who has left in the meantime was kept all the same, and is in the sums.
      if (client !== null)
        entry.clients.push({ ...client, kept: true, relocated: batch.relocated?.includes(client.slot) === true })
    }
  }
}
